"""What the families of flow-matching transformers share: one base resident, LoRAs fused and undone.

LoRAs are merged into the transformer's weights and peft's wrappers removed, as production would:
what is judged is then what is timed. What a LoRA changes is kept as it was in main memory, put back
before the next arm, and the whole transformer compared with what was loaded.
"""

from __future__ import annotations

import abc
import inspect
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from diffusers.utils import logging as diffusers_logging
from safetensors.torch import load_file

from poc.errors import InputError
from poc.pipelines.base import Frames, plain_json, tensors_digest, to_uint8
from poc.pipelines.device import DTYPES
from poc.records import Arm, ResolvedArm

Embedded = dict[str, torch.Tensor]
"""A text encoder's answer by the argument of the pipeline that takes it; rows are prompts."""


class FlowFamily(abc.ABC):
    """A base model and the LoRAs of all arms of a plan, loaded once each.

    `folders` maps ids of models.yaml to local folders that were verified before.
    """

    pipeline_class: ClassVar[type[Any]]
    vae_class: ClassVar[type[Any]]
    vae_in_float32: ClassVar[bool] = False

    def __init__(
        self,
        *,
        base: str,
        dtype: str,
        folders: Mapping[str, Path],
        device: str = "cpu",
        vae: str | None = None,
    ) -> None:
        if vae is not None:
            raise InputError(f"VAE {vae!r}: this family decodes with the base's own VAE only.")
        self._base, self._dtype = base, DTYPES[dtype]
        self._folders, self._device = folders, torch.device(device)
        self._pipe: Any = None
        self._digests: dict[str, str] = {}
        self._embeddings: dict[str, Embedded] = {}
        self._loras: dict[str, dict[str, torch.Tensor]] = {}
        self._pristine: dict[str, torch.Tensor] = {}
        self._fused: tuple[str, ...] = ()
        self._taken_out: set[tuple[str, ...]] = set()
        self._arm: Arm | None = None

    # --- what differs between families -----------------------------------------------------------

    @abc.abstractmethod
    def _scheduler(self, arm: Arm) -> Any:
        """Build the sampler of an arm."""

    @abc.abstractmethod
    def _arguments(self, arm: Arm) -> dict[str, Any]:
        """Return what the pipeline is called with, besides embeddings and generators."""

    @abc.abstractmethod
    def _timesteps(self, arm: Arm) -> tuple[float, ...]:
        """Return the timesteps that the pipeline will sample at."""

    @abc.abstractmethod
    def _embed(self, texts: Sequence[str]) -> Embedded:
        """Embed texts."""

    @abc.abstractmethod
    def _decoded(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode what `denoise` returned to video (n, 3, t, h, w) in [-1, 1]."""

    def _before(self, generators: list[torch.Generator]) -> None:
        """Hand the clips' generators to what the pipeline does not hand them to."""
        del generators

    def _for_decoder(
        self, latents: torch.Tensor, generators: list[torch.Generator]
    ) -> torch.Tensor:
        """Return sampled latents as `_decoded` takes them; some decoders want noise in them."""
        del generators
        return latents

    # --- switching -------------------------------------------------------------------------------

    def prepare(self, arm: Arm) -> ResolvedArm:
        """Make the resident pipeline sample as `arm` says; returns what it turned out to be."""
        if arm.base != self._base:
            raise InputError(f"arm {arm.name!r}: base {arm.base!r}, but {self._base!r} is loaded")
        self._load_base()
        self._take_loras_out()
        self._put_loras_in(arm)
        self._pipe.scheduler = self._scheduler(arm)
        self._arm = arm
        return self._resolved(arm)

    def _load_base(self) -> None:
        if self._pipe is not None:
            return
        diffusers_logging.disable_progress_bar()  # the run shows its own
        local = {"use_safetensors": True, "local_files_only": True}
        folder = self._folders[self._base]
        vae_dtype = torch.float32 if self.vae_in_float32 else self._dtype
        vae = self.vae_class.from_pretrained(folder / "vae", dtype=vae_dtype, **local)
        self._pipe = self.pipeline_class.from_pretrained(
            folder, vae=vae, dtype=self._dtype, **local
        ).to(self._device)
        self._pipe.set_progress_bar_config(disable=True)
        for name in ("transformer", "vae", "text_encoder"):
            component = getattr(self._pipe, name)
            component.eval().requires_grad_(False)
            self._digests[name] = tensors_digest(component.state_dict().items())

    def _put_loras_in(self, arm: Arm) -> None:
        names = tuple(use.model for use in arm.loras)
        if not names:
            return
        adapters = [f"lora_{place}" for place, _ in enumerate(names)]
        for model, adapter in zip(names, adapters, strict=True):
            self._load_lora(model, adapter)
        self._keep_pristine()
        self._pipe.set_adapters(adapters, [use.scale for use in arm.loras])
        self._pipe.fuse_lora(components=["transformer"], adapter_names=adapters)
        self._pipe.unload_lora_weights()  # the weights stay merged, the wrappers go
        self._fused = names
        state = self._pipe.transformer.state_dict()
        if all(torch.equal(state[key].cpu(), kept) for key, kept in self._pristine.items()):
            raise InputError(
                f"{', '.join(names)}: the LoRA was merged but no weight of {self._base!r} changed "
                f"in {self._dtype}; its effect is below the rounding. Raise its scale."
            )

    def _load_lora(self, model: str, adapter: str) -> None:
        path = weight_file(self._folders[model])
        if model not in self._loras:
            self._loras[model] = load_file(path)
        self._pipe.load_lora_weights(dict(self._loras[model]), adapter_name=adapter)
        state = self._pipe.transformer.state_dict().items()
        loaded = [(k, v) for k, v in state if ".lora_" in k and f".{adapter}." in k]
        matrices = sum(tensor.ndim > 1 for _, tensor in loaded)
        in_file = sum("lora" in key and one.ndim > 1 for key, one in self._loras[model].items())
        if matrices != in_file or not matrices:
            raise InputError(
                f"{model}: {matrices} of the {in_file} matrices in {path.name} fit layers of "
                f"{self._base!r}; the LoRA belongs to another base model or is named in another "
                "way. Choose one made for this base."
            )
        if not any(bool(tensor.any()) for key, tensor in loaded if ".lora_B." in key):
            raise InputError(
                f"{model}: the LoRA was loaded but can change nothing: its weights are zero."
            )
        self._digests[f"lora:{model}"] = tensors_digest(
            (key.replace(f".{adapter}.", "."), tensor) for key, tensor in loaded
        )

    def _keep_pristine(self) -> None:
        """Keep what a fusion will change, in main memory: a device's is measured."""
        for name, module in self._pipe.transformer.named_modules():
            if not hasattr(module, "base_layer"):
                continue
            for key, tensor in module.base_layer.state_dict().items():
                self._pristine.setdefault(f"{name}.{key}", tensor.to("cpu", copy=True))

    def _take_loras_out(self) -> None:
        """Put kept weights back, and compare the transformer once for every set of LoRAs."""
        if not self._fused:
            return
        state = self._pipe.transformer.state_dict()
        for key, tensor in self._pristine.items():
            state[key].copy_(tensor)
        taken_out, self._fused = self._fused, ()
        if taken_out in self._taken_out:
            return
        found = tensors_digest(self._pipe.transformer.state_dict().items())
        if found != self._digests["transformer"]:
            raise RuntimeError(
                f"{self._base}: base weights differ after a LoRA was taken out; results of later "
                "arms would be wrong. Report this with the versions of diffusers and peft."
            )
        self._taken_out.add(taken_out)

    def _resolved(self, arm: Arm) -> ResolvedArm:
        arguments = self._arguments(arm)
        known = inspect.signature(self._pipe.__call__).parameters
        if unknown := sorted(set(arguments) - set(known)):
            raise InputError(
                f"{type(self._pipe).__name__} takes no argument {', '.join(unknown)}; "
                "this version of diffusers does not fit. Install the locked one."
            )
        wanted = ["vae", "text_encoder", "transformer", *(f"lora:{u.model}" for u in arm.loras)]
        config = {k: v for k, v in self._pipe.scheduler.config.items() if not k.startswith("_")}
        return ResolvedArm(
            arm_id=arm.id,
            component_digests={key: self._digests[key] for key in wanted},
            scheduler_class=type(self._pipe.scheduler).__name__,
            scheduler_config=plain_json(config),
            timesteps=self._timesteps(arm),
            pipeline_arguments=plain_json(arguments),
            device=self._device.type,
        )

    def network(self) -> torch.nn.Module:
        """The denoising network of the prepared arm, its LoRAs fused."""
        self._ready()
        network: torch.nn.Module = self._pipe.transformer
        return network

    # --- sampling --------------------------------------------------------------------------------

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> Embedded:
        """Embed prompts, and the negative prompt where the arm is guided."""
        arm = self._ready()
        negative = [arm.negative_prompt] * len(texts) if arm.sampling.guidance > 1 else []
        return self._with_negative(self._embed(texts), self._embed(negative) if negative else {})

    @torch.inference_mode()
    def encode_reused(self, texts: Sequence[str]) -> Embedded:
        """As `encode`, each text embedded once, alone, and kept; for the quality pass only."""
        arm = self._ready()
        negative = [arm.negative_prompt] * len(texts) if arm.sampling.guidance > 1 else []
        return self._with_negative(self._kept(texts), self._kept(negative) if negative else {})

    def _kept(self, texts: Sequence[str]) -> Embedded:
        for text in {*texts} - self._embeddings.keys():
            self._embeddings[text] = self._embed([text])
        rows = [self._embeddings[text] for text in texts]
        return {key: torch.cat([row[key] for row in rows]) for key in rows[0]}

    @staticmethod
    def _with_negative(prompts: Embedded, negative: Embedded) -> Embedded:
        return prompts | {f"negative_{key}": tensor for key, tensor in negative.items()}

    @torch.inference_mode()
    def denoise(self, embeddings: Embedded, seeds: Sequence[int]) -> torch.Tensor:
        """Sample latents (n, c, t', h', w'), one fresh CPU generator per clip."""
        arm = self._ready()
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._before(generators)
        result = self._pipe(
            **embeddings, **self._arguments(arm), generator=generators, output_type="latent"
        )
        return self._for_decoder(torch.as_tensor(result.frames), generators)

    @torch.inference_mode()
    def decode(self, latents: torch.Tensor) -> tuple[Frames, tuple[bool, ...]]:
        """Decode to frames (n, t, h, w, 3); a clip that is not finite is flagged, not blackened."""
        video = self._decoded(latents).float()
        finite = tuple(bool(torch.isfinite(clip).all()) for clip in video)
        video = torch.nan_to_num(video, nan=-1.0, posinf=1.0, neginf=-1.0)
        unit = self._pipe.video_processor.denormalize(video)
        return to_uint8(unit.permute(0, 2, 3, 4, 1).cpu().numpy()), finite

    @property
    def device(self) -> str:
        """The device of the models, such as cpu or cuda:0."""
        return str(self._device)

    def synchronize(self) -> None:
        """Wait for the device; nothing to wait for on a CPU."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def _ready(self) -> Arm:
        if self._arm is None:
            raise RuntimeError("no arm is prepared; call prepare(arm) first")
        return self._arm


def weight_file(folder: Path) -> Path:
    """Return the one safetensors file in or below a folder, whatever its makers called it."""
    found = sorted(folder.rglob("*.safetensors"))
    if len(found) != 1:
        raise InputError(
            f"{folder}: expected one .safetensors file, found {len(found)}. Leave only the one "
            "that the model is."
        )
    return found[0]


def as_floats(numbers: Iterable[Any]) -> tuple[float, ...]:
    """Return tensors of one number, or numbers, as plain floats."""
    return tuple(float(number) for number in numbers)
