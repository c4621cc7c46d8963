"""What all families share: one base resident; embedding, sampling and decoding for its arm."""

from __future__ import annotations

import abc
import inspect
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, NotRequired, TypedDict

import torch

from poc.errors import InputError
from poc.pipelines.base import Frames, plain_json, to_uint8
from poc.pipelines.device import DTYPES
from poc.records import Arm, FastSettings, ResolvedArm

Embedded = dict[str, torch.Tensor]
"""A text encoder's answer by the argument of the pipeline that takes it; rows are prompts."""


class Loading(TypedDict):
    """What a family is made of, by name: what `ResidentFamily` takes, and hands on to it."""

    base: str
    dtype: str
    folders: Mapping[str, Path]
    device: NotRequired[str]
    vae: NotRequired[str | None]


class ResidentFamily(abc.ABC):
    """A base model and what the arms of a plan plug into it, loaded once each.

    `folders` maps ids of models.yaml to local folders that were verified before.
    """

    def __init__(
        self,
        *,
        base: str,
        dtype: str,
        folders: Mapping[str, Path],
        device: str = "cpu",
        vae: str | None = None,
    ) -> None:
        self._base, self._vae, self._dtype = base, vae, DTYPES[dtype]
        self._folders, self._device = folders, torch.device(device)
        if self._device.type == "cuda":
            torch.cuda.set_device(self._device)  # whose memory is counted
        self._pipe: Any = None
        self._digests: dict[str, str] = {}
        self._embeddings: dict[str, Embedded] = {}
        self._compiled: dict[tuple[int, str], Any] = {}
        self._arm: Arm | None = None

    # --- what differs between families -----------------------------------------------------------

    @abc.abstractmethod
    def prepare(self, arm: Arm) -> ResolvedArm:
        """Make the resident pipeline sample as `arm` says; returns what it turned out to be."""

    @abc.abstractmethod
    def network(self) -> torch.nn.Module:
        """The denoising network of the prepared arm, its LoRAs fused."""

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

    @abc.abstractmethod
    def _to_compile(self) -> tuple[torch.nn.Module, ...]:
        """Return the networks that `compile` is of, the denoiser first."""

    def _before(self, generators: list[torch.Generator]) -> None:
        """Hand the clips' generators to what the pipeline does not hand them to."""
        del generators

    def _for_decoder(
        self, latents: torch.Tensor, generators: list[torch.Generator]
    ) -> torch.Tensor:
        """Return sampled latents as `_decoded` takes them; some decoders want noise in them."""
        del generators
        return latents

    # --- the arm ---------------------------------------------------------------------------------

    def _refuse_another_base(self, arm: Arm) -> None:
        if arm.base != self._base:
            raise InputError(f"arm {arm.name!r}: base {arm.base!r}, but {self._base!r} is loaded")

    def _resolved(self, arm: Arm, components: Iterable[str]) -> ResolvedArm:
        """Return what the prepared arm turned out to be; `components` are keys of the digests."""
        arguments = self._arguments(arm)
        known = inspect.signature(self._pipe.__call__).parameters
        if unknown := sorted(set(arguments) - set(known)):
            raise InputError(
                f"{type(self._pipe).__name__} takes no argument {', '.join(unknown)}; "
                "this version of diffusers does not fit. Install the locked one."
            )
        timesteps = self._timesteps(arm)
        return ResolvedArm(
            arm_id=arm.id,
            component_digests={key: self._digests[key] for key in components},
            scheduler_class=type(self._pipe.scheduler).__name__,
            scheduler_config=plain_json(_settings(self._pipe.scheduler)),
            timesteps=timesteps,
            pipeline_arguments=plain_json(arguments),
            device=self._device.type,
            fast=self._fast_found(arm),
        )

    def _fast_found(self, arm: Arm) -> dict[str, str]:
        """Return the fast settings as the networks have them."""
        compiled = [name for name, one in self._named_to_compile() if "forward" in one.__dict__]
        mode = arm.fast.compile if arm.fast else None
        return {"compiled": f"{mode}: {', '.join(compiled)}"} if mode else {}

    def _named_to_compile(self) -> list[tuple[str, torch.nn.Module]]:
        return [(type(one).__name__, one) for one in self._to_compile()]

    # --- compilation -----------------------------------------------------------------------------

    def _run_uncompiled(self) -> None:
        """Let the networks run their own code: LoRAs and weights are exchanged under it."""
        for network in self._to_compile():
            network.__dict__.pop("forward", None)

    def _run_compiled(self, arm: Arm) -> None:
        """Run compiled code from now on, where the arm asks for it; compiled once a process."""
        mode = (arm.fast or FastSettings()).compile
        if mode is None:
            return
        for place, network in enumerate(self._to_compile()):
            # Decoded parts are kept until all are there; a CUDA graph would write over them.
            own = mode if place == 0 else "default"
            if (place, own) not in self._compiled:
                self._compiled[place, own] = compiled(network, own)
            network.forward = self._compiled[place, own]

    def _ready(self) -> Arm:
        if self._arm is None:
            raise RuntimeError("no arm is prepared; call prepare(arm) first")
        return self._arm

    # --- sampling --------------------------------------------------------------------------------

    def _without_gradients(self) -> AbstractContextManager[Any]:
        """Return the mode that clips are made in."""
        return torch.inference_mode()

    def encode(self, texts: Sequence[str]) -> Embedded:
        """Embed prompts, and the negative prompt where the arm is guided: (n, tokens, width)."""
        negative = self._negative(len(texts))
        with self._without_gradients():
            return self._with_negative(
                self._embed(texts), self._embed(negative) if negative else {}
            )

    def encode_reused(self, texts: Sequence[str]) -> Embedded:
        """As `encode`, each text embedded once, alone, and kept; for the quality pass only."""
        negative = self._negative(len(texts))
        with self._without_gradients():
            return self._with_negative(self._kept(texts), self._kept(negative) if negative else {})

    def _negative(self, count: int) -> list[str]:
        arm = self._ready()
        return [arm.negative_prompt] * count if arm.sampling.guidance > 1 else []

    def _kept(self, texts: Sequence[str]) -> Embedded:
        for text in {*texts} - self._embeddings.keys():
            self._embeddings[text] = self._embed([text])
        rows = [self._embeddings[text] for text in texts]
        return {key: torch.cat([row[key] for row in rows]) for key in rows[0]}

    @staticmethod
    def _with_negative(prompts: Embedded, negative: Embedded) -> Embedded:
        return prompts | {f"negative_{key}": tensor for key, tensor in negative.items()}

    def denoise(self, embeddings: Embedded, seeds: Sequence[int]) -> torch.Tensor:
        """Sample latents (n, c, t', h', w'), one fresh CPU generator per clip."""
        arm = self._ready()
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._before(generators)
        with self._without_gradients():
            result = self._pipe(
                **embeddings, **self._arguments(arm), generator=generators, output_type="latent"
            )
            return self._for_decoder(torch.as_tensor(result.frames), generators)

    def decode(self, latents: torch.Tensor) -> tuple[Frames, tuple[bool, ...]]:
        """Decode to frames (n, t, h, w, 3); a clip that is not finite is flagged, not blackened."""
        with self._without_gradients():
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


BACKEND: Final = "inductor"
"""What compiles: the default of `torch.compile`."""
_MODES: Final = {"default": "default", "cuda_graphs": "reduce-overhead"}
"""Ours -> those of `torch.compile`."""


def compiled(network: torch.nn.Module, mode: str) -> Any:
    """Return the compiled code of a network for shapes that do not vary.

    One that would have to be compiled too often is an error: torch would quietly go on without.
    """
    torch._dynamo.config.fail_on_recompile_limit_hit = True  # noqa: SLF001 - its only name
    return torch.compile(network.forward, backend=BACKEND, mode=_MODES[mode], dynamic=False)


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


def _settings(scheduler: Any) -> dict[str, Any]:
    """Return a scheduler's settings, less diffusers' own notes: their order differs by process."""
    return {key: value for key, value in scheduler.config.items() if not key.startswith("_")}
