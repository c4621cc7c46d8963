"""Trains a LoRA of one's own style: measured first, resumable, shown as it grows.

The base is any that `StableDiffusionPipeline` loads: the tiny one and SD1.5 go through the same
lines. Frozen weights are float32; on a GPU the network computes in bfloat16.
"""

from __future__ import annotations

import resource
import shutil
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler, StableDiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from PIL import Image, ImageOps
from PIL.Image import Resampling
from safetensors import safe_open
from safetensors.torch import save_file

from poc.errors import InputError
from poc.fingerprint import device_memory_bytes
from poc.own_stills import Still
from poc.own_style import LORA_FILE, StyleTask, begin, publish
from poc.ownership import Ownership
from poc.pipelines.device import check_device
from poc.training.consistency import add_lora
from poc.training.diffusion import NoiseSchedule
from poc.training.image import LatentSet, named
from poc.training.loop import Draw, Log, LoopConfig
from poc.training.style import lora_state, style_loss, train_style
from poc.training.vae import encode

ADAPTER: Final = "style"
TARGETS: Final = (
    "to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2",
    "conv1", "conv2", "conv_shortcut",
)  # fmt: skip
"""Attention carries what is drawn, convolutions the texture and colour of a look."""
EMPTY: Final = 0.1
"""Share of captions left away, so that guidance has an unconditional prediction."""
AVERAGE: Final = 0.98
TIMED_STEPS: Final = 3
PICTURES: Final = 4
"""In a preview, at most."""
PREVIEWS: Final = 2
"""After the first one, which shows the base: half way and at the end."""
PREVIEW_STEPS: Final = 12
PREVIEW_GUIDANCE: Final = 2.0
_BYTES: Final = 4
"""Of a float32 number."""
_KEPT_PER_WEIGHT: Final = 4
"""Numbers that AdamW and averaging keep of a weight that learns: gradient, two moments, average."""


@dataclass(frozen=True, slots=True)
class StyleEstimate:
    """What a training takes, from the files' headers, timed steps and a timed preview."""

    base_parameters: int
    lora_parameters: int
    memory_bytes: int
    """Peak while steps were timed, and what the optimizer keeps besides."""
    device_bytes: int | None
    """What the device holds; None where nobody says."""
    step_s: float
    preview_s: float
    duration_s: float

    def text(self) -> str:
        """Return the estimate in a few words."""
        room = "" if self.device_bytes is None else f" of {self.device_bytes / 2**30:.1f} GiB"
        return (
            f"estimate: {self.duration_s / 3600:.2f} h ({self.step_s:.2f} s a step, "
            f"{self.preview_s:.1f} s a preview, both timed here), memory "
            f"{self.memory_bytes / 2**30:.1f} GiB{room}; base {self.base_parameters / 1e6:.1f} M "
            f"numbers, LoRA {self.lora_parameters / 1e6:.2f} M"
        )


def train_own_style(
    task: StyleTask, *, hours: float | None, estimate_only: bool, log: Log
) -> tuple[StyleEstimate | None, Path | None]:
    """Train what is asked for and return the estimate and the folder; goes on where it stopped.

    `hours`: refuse a training that is estimated to take longer. `estimate_only`: stop after the
    estimate, which then has no folder; a style that was trained before has no estimate.

    Raises:
        InputError: no such device, too little memory, too long, a caption too long for the text
            encoder, or another process trains the same style.
    """
    if task.is_finished():
        log(f"{task.home.name}: already trained")
        return None, task.home
    device = task.request.device
    check_device(device)
    count = _parameters_in(task.base.folder)
    _check_room(count * _BYTES, device, "the weights of the base alone are")
    begin(task)
    owner = Ownership.take(task.work)
    try:
        return _train(_Studio.open(task), count, hours, estimate_only=estimate_only, log=log)
    except torch.OutOfMemoryError as error:
        raise InputError(
            f"--device {device}: not enough memory for a training step ({str(error)[:200]}). Give "
            "a smaller --batch or another device."
        ) from error
    finally:
        owner.release()
        if not any(task.work.glob("*.pt")):  # nothing was learnt that could be lost
            shutil.rmtree(task.work, ignore_errors=True)


def _train(
    studio: _Studio, base_parameters: int, hours: float | None, *, estimate_only: bool, log: Log
) -> tuple[StyleEstimate, Path | None]:
    task = studio.task
    found = studio.estimate(base_parameters)
    log(found.text())
    _check_room(found.memory_bytes, task.request.device, "a training step takes")
    if hours is not None and found.duration_s > hours * 3600:
        raise InputError(
            f"--hours {hours:g}: the estimate is {found.duration_s / 3600:.2f} h. Give fewer "
            "--steps, a faster device or more hours."
        )
    if estimate_only:
        return found, None
    result = train_style(
        studio.pipe.text_encoder,
        studio.pipe.unet,
        studio.data,
        studio.schedule,
        studio.config,
        name=task.request.name,
        work=task.work,
        log=log,
        after=studio.preview_after,
    )
    studio.preview(task.request.training.steps)
    file = studio.write_lora()
    facts = {
        "parameters": found.lora_parameters,
        "device": task.request.device,
        "estimate": asdict(found),
        "duration_s": result.duration_s,
        "losses": result.losses,
        "versions": {key: metadata.version(key) for key in ("torch", "diffusers", "peft")},
    }
    return found, publish(task, file, facts)


def _check_room(wanted: int, device: str, what: str) -> None:
    room = device_memory_bytes(device)
    if room is not None and wanted > room:
        raise InputError(
            f"--device {device}: {what} {wanted / 2**30:.1f} GiB, it holds {room / 2**30:.1f} "
            "GiB. Give a smaller --batch or another device."
        )


def _parameters_in(folder: Path) -> int:
    """Return the numbers in the networks that are loaded, counted from the files' headers."""
    total = 0
    for part in ("unet", "vae", "text_encoder"):
        for path in (folder / part).glob("*.safetensors"):
            with safe_open(path, framework="pt") as file:
                shapes = (file.get_slice(key).get_shape() for key in file.keys())  # noqa: SIM118
                total += sum(int(np.prod(shape)) for shape in shapes)
    return total


@dataclass(frozen=True, slots=True)
class _Studio:
    """The base with an untrained LoRA in it, and the stills as it sees them."""

    task: StyleTask
    pipe: Any
    data: LatentSet
    schedule: NoiseSchedule
    config: LoopConfig

    @classmethod
    def open(cls, task: StyleTask) -> _Studio:
        training = task.request.training
        config = LoopConfig(
            steps=training.steps,
            batch=training.batch,
            learning_rate=training.learning_rate,
            seed=training.seed,
            warmup=max(1, min(100, training.steps // 10)),
            average=AVERAGE,
            checkpoint_every=max(1, min(100, training.steps // 10)),
            bfloat16=task.request.device != "cpu",
        )
        pipe = _loaded_base(task)
        data = LatentSet(_latents(task, pipe.vae), _Captions(task, pipe.tokenizer))
        torch.manual_seed(training.seed)
        add_lora(pipe.unet, ADAPTER, training.rank, TARGETS)
        noise = DDPMScheduler.from_config(pipe.scheduler.config)
        return cls(task, pipe, data, NoiseSchedule.of(noise), config)

    def estimate(self, base_parameters: int) -> StyleEstimate:
        """Time a preview, and steps that change nothing; take the memory that they needed."""
        preview_s = self._timed_preview()
        step_s = self._timed_step()
        learning = sum(p.numel() for p in named(unet=self.pipe.unet).values())
        kept = learning * _BYTES * _KEPT_PER_WEIGHT
        training = self.task.request.training
        return StyleEstimate(
            base_parameters=base_parameters,
            lora_parameters=learning,
            memory_bytes=_peak_bytes(self.pipe.unet.device) + kept,
            device_bytes=device_memory_bytes(self.task.request.device),
            step_s=step_s,
            preview_s=preview_s,
            duration_s=step_s * training.steps + preview_s * PREVIEWS,
        )

    def _timed_preview(self) -> float:
        start = time.monotonic()
        self.preview(0)
        return time.monotonic() - start

    def _timed_step(self) -> float:
        """Return the median seconds of a step forward and back; the weights stay as they are."""
        loss = style_loss(
            self.pipe.text_encoder, self.pipe.unet, self.data, self.schedule, self.config
        )
        durations = []
        for step in range(TIMED_STEPS + 1):
            start = time.monotonic()
            loss(Draw.of(self.config.seed, step)).backward()
            _synchronize(self.pipe.unet.device)
            durations.append(time.monotonic() - start)
        self.pipe.unet.zero_grad(set_to_none=True)
        return statistics.median(durations[1:])

    def preview_after(self, step: int) -> None:
        """Draw a row of pictures half way; the last one is drawn once the weights are averaged."""
        if step == self.config.steps // PREVIEWS:
            self.preview(step)

    def preview(self, step: int) -> None:
        """Write what the base draws with the LoRA as it is, under held-out stills of the words."""
        stills = self.task.heldout[:PICTURES]
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            drawn = self._draw([still.caption for still in stills])
        rows = [[_square(still, self.task.size) for still in stills], drawn]
        target = self.task.work / "previews" / ("before.png" if step == 0 else f"{step:06}.png")
        _sheet(rows).save(target)

    def _draw(self, captions: Sequence[str]) -> list[Image.Image]:
        """Return a picture a caption, one by one, so that memory stays that of one."""
        pictures = []
        for place, caption in enumerate(captions):
            found = self.pipe(
                caption,
                num_inference_steps=PREVIEW_STEPS,
                guidance_scale=PREVIEW_GUIDANCE,
                height=self.task.size,
                width=self.task.size,
                generator=torch.Generator().manual_seed(place),
            )
            pictures.append(found.images[0])
        return pictures

    def write_lora(self) -> Path:
        """Write the LoRA in half precision; refuses one that diffusers does not load whole."""
        state = lora_state(self.pipe.unet, ADAPTER)
        halves = {key: value.half().cpu().contiguous() for key, value in state.items()}
        path = self.task.work / LORA_FILE
        save_file(halves, path, metadata={"format": "pt"})
        self.pipe.unload_lora_weights()
        taken = loaded_tensors(self.pipe, path)
        if taken != len(halves):
            raise RuntimeError(
                f"{path}: diffusers loads {taken} of {len(halves)} tensors. Report this with the "
                "versions of diffusers and peft."
            )
        return path


def loaded_tensors(pipe: Any, lora: Path) -> int:
    """Return how many tensors of a LoRA file diffusers' loader puts into a pipeline's UNet."""
    pipe.load_lora_weights(lora.parent, weight_name=lora.name, adapter_name="loaded")
    return sum(".loaded." in key for key in pipe.unet.state_dict())


# --- what the base sees --------------------------------------------------------------------------


def _loaded_base(task: StyleTask) -> Any:
    folder, device = task.base.folder, task.request.device
    diffusers_logging.disable_progress_bar()  # the training shows its own
    pipe = StableDiffusionPipeline.from_pretrained(
        folder,
        dtype=torch.float32,
        use_safetensors=True,
        local_files_only=True,
        safety_checker=None,
        feature_extractor=None,
        image_encoder=None,
        requires_safety_checker=False,
    ).to(device)
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    for network in (pipe.unet, pipe.vae, pipe.text_encoder):
        network.eval().requires_grad_(False)
    return pipe


def _latents(task: StyleTask, vae: Any) -> torch.Tensor:
    """Return scaled latents of the training stills' centred squares, one by one, on the CPU."""
    parts = []
    for still in task.training_stills:
        pixels = torch.from_numpy(np.array(_square(still, task.size))).permute(2, 0, 1)[None]
        parts.append(encode(vae, pixels.to(vae.device)).cpu())
    return torch.cat(parts) * float(vae.config.scaling_factor)


def _square(still: Still, size: int) -> Image.Image:
    with Image.open(still.path) as picture:
        return ImageOps.fit(picture.convert("RGB"), (size, size), Resampling.LANCZOS)


class _Captions:
    """Token ids of the training stills' captions; some are left away."""

    def __init__(self, task: StyleTask, tokenizer: Any) -> None:
        length = tokenizer.model_max_length
        for still in task.training_stills:
            count = len(tokenizer(still.caption).input_ids)
            if count > length:
                raise InputError(
                    f"caption of '{still.path.name}': {count} tokens, the text encoder of "
                    f"'{task.base.entry.id}' takes {length}. Shorten it."
                )
        texts = [*(still.caption for still in task.training_stills), ""]
        self._ids = torch.as_tensor(
            tokenizer(texts, padding="max_length", max_length=length, return_tensors="pt").input_ids
        )

    def __call__(self, draw: Draw, index: torch.Tensor) -> torch.Tensor:
        empty = torch.from_numpy(draw.rng.random(len(index)) < EMPTY)
        return self._ids[torch.where(empty, len(self._ids) - 1, index)]


def _sheet(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    side = rows[0][0].width
    sheet = Image.new("RGB", (side * len(rows[0]), side * len(rows)))
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            sheet.paste(picture, (x * side, y * side))
    return sheet


def _peak_bytes(device: torch.device) -> int:
    """Return the most memory in use so far: of the device, or of this process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
