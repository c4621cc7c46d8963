"""Settings that make an arm faster or smaller: what each may change, and what does nothing. Pure.

LoRAs are fused into the weights unless an arm says `fuse_loras: false`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from poc.records import DECODED_AT_ONCE, Arm, ArmSpec, ClipShape, FastSettings, SweepSpec

TOLERANCE: Final[Mapping[str, int]] = MappingProxyType(
    {"channels_last": 1, "cpu_offload": 0, "decode_frames": 1, "fuse_loras": 2}
)
"""Setting -> most that it may change a number of a frame, of 255, in float32; tests hold it.

Of others, such as compiled code, nothing is shown.
"""

IDLE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "attention_backend": "diffusers skips the attention of this network without a word when a "
        "backend is set; PyTorch's scaled_dot_product_attention runs either way",
        "cache": "this network cannot be told to keep what it computed; diffusers' caches are for "
        "transformers, and few steps leave nothing to reuse",
        "compile_blocks": "this network names no blocks to compile. Give 'compile: default', which "
        "compiles all of it",
        "vae_slicing": "it saves memory and makes decoding slower. Give 'decode_frames'",
        "vae_tiling": "it saves memory and makes decoding slower. Give 'decode_frames'",
    }
)
"""Settings that people try on AnimateDiff -> why they are not offered (diffusers v0.42)."""

_OF_CLIPS: Final = "this family's VAE decodes a clip as a whole"
_NO_CONVOLUTION: Final = "this family's networks have no layer of 2D convolution that is timed"
_FUSED: Final = "LoRAs are fused into the weights unless an arm says 'fuse_loras: false'"
_ALWAYS_FUSED: Final = "this family's LoRAs are always fused"
_STAYS: Final = "this family's models stay on the device"


def idle(entry: ArmSpec, shape: ClipShape, batch_size: int) -> Iterator[tuple[str, str]]:
    """Yield the settings of an entry that would do nothing, each with the reason."""
    fast = entry.fast
    if fast is None:
        return
    if fast == FastSettings():
        yield "", "no setting is on"
    if fast.decode_frames is not None:
        frames = shape.num_frames * batch_size
        if entry.family != "animatediff":
            yield "decode_frames", _OF_CLIPS
        elif min(fast.decode_frames, frames) == min(DECODED_AT_ONCE, frames):
            reason = f"of {frames} frames diffusers decodes {min(DECODED_AT_ONCE, frames)} at once"
            yield "decode_frames", reason
    if fast.channels_last and entry.family != "animatediff":
        yield "channels_last", _NO_CONVOLUTION
    if fast.cpu_offload and entry.family != "animatediff":
        yield "cpu_offload", _STAYS
    yield from _idle_fusion(entry, fast)


def _idle_fusion(entry: ArmSpec, fast: FastSettings) -> Iterator[tuple[str, str]]:
    if fast.fuse_loras:
        if "fuse_loras" in fast.model_fields_set:
            yield "fuse_loras", _FUSED
    elif entry.family != "animatediff":
        yield "fuse_loras", _ALWAYS_FUSED
    elif not entry.loras:
        yield "fuse_loras", "this arm has no LoRA"


def contradictory(spec: SweepSpec, entry: ArmSpec) -> Iterator[tuple[str, str]]:
    """Yield the settings of an entry that another one makes wrong, each with the reason."""
    fast = entry.fast or FastSettings()
    if fast.compile is not None and not fast.fuse_loras:
        yield "fuse_loras", "compiled code is made of fused weights. Remove it, or 'compile'."
    if not fast.cpu_offload:
        return
    if fast.compile is not None:
        yield "cpu_offload", "compiled code holds on to weights that move. Remove it, or 'compile'."
        return
    for other in spec.arms:
        if other is entry or other.family == "imported":
            continue
        if _resident(spec, other) != _resident(spec, entry):
            reason = "of another base, VAE or dtype: its models stay on the device"
        elif other.fast is not None and other.fast.compile is not None:
            reason = "compiled: its code holds on to weights that would move"
        else:
            continue
        yield "cpu_offload", f"arm '{other.name}' is {reason}. Give it a spec of its own."


def _resident(spec: SweepSpec, entry: ArmSpec) -> tuple[str, str, str | None, str]:
    """Return what an entry shares its loaded models with: equal ones run in one pipeline."""
    return entry.family, entry.base, entry.vae, entry.dtype or spec.dtype


def changes(arm: Arm, *, dtype: str, approximate_vae: bool) -> Iterator[str]:
    """Yield what of an arm changes quality beyond what is shown; `dtype` is that of its spec.

    In half precision the order of a sum changes more than rounding to a frame hides, and nothing
    is shown of it.
    """
    if approximate_vae:
        yield f"'{arm.vae}' decodes by a smaller network than the VAE it stands for"
    if arm.dtype != dtype:
        yield f"{arm.dtype} in place of {dtype}"
    for name in arm.fast.model_dump(mode="json") if arm.fast else ():
        if name not in TOLERANCE:
            yield f"{name}: not shown to keep every frame"
        elif arm.dtype != "float32":
            yield f"{name}: shown to keep every frame in float32, not in {arm.dtype}"
