"""Whether a LoRA is for the layers of a base: told by the headers of both, no weight is opened.

diffusers loads a LoRA of another base without a word where none of its layers is there, and fails
halfway through a sweep where they have another width. Names in a form of another program than
diffusers and peft are not judged here; what they come to is checked when they are loaded. So are
names that begin with `lora_unet_` where the base is no UNet: musubi-tuner gives transformers that
prefix as well, and diffusers knows how to read it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from poc.models import tensor_shapes

_PREFIX: Final = re.compile(r"^(unet\.|lora_unet_|transformer\.)")
_FLAT: Final = "lora_unet_"
_OF_UNET: Final = "down_blocks_"
"""Begins layers that every UNet has, and no transformer."""
_DOWN: Final = re.compile(r"\.(lora_(A|down)(\.\w+)?|lora\.down)\.weight$")
_ELSEWHERE: Final = re.compile(r"^(input_blocks|middle_block|output_blocks)_")
"""Layers as the first Stable Diffusion's own program calls them."""


def fault(lora: Path, parts: Iterable[Path]) -> str:
    """Return why a LoRA's file cannot change the networks in some folders; empty when it can.

    Where one of the folders holds no weights, which layers there are is not known: not judged.

    Raises:
        InputError: a file that is no safetensors.
    """
    found = [dict(_layers(folder)) for folder in parts]
    there = {name: width for layers in found for name, width in layers.items()}
    asked = dict(_asked(lora, of_unet=any(name.startswith(_OF_UNET) for name in there)))
    if not asked or not all(found):
        return ""
    known = [name for name in asked if name in there]
    if not known:
        return f"none of the {len(asked)} layers in {lora.name} is a layer of it"
    wrong = [name for name in known if asked[name] != there[name]]
    if wrong:
        one = wrong[0]
        return (
            f"{len(wrong)} of the {len(asked)} layers in {lora.name} have another width, such as "
            f"{one}: {asked[one]} in place of {there[one]}"
        )
    return ""


def _asked(lora: Path, *, of_unet: bool) -> Iterator[tuple[str, int]]:
    """Yield the layers that a LoRA is for with their input width, where their names are known."""
    for key, shape in tensor_shapes(lora).items():
        if key.startswith(_FLAT) and not of_unet:
            continue
        if _PREFIX.match(key) and _DOWN.search(key) and len(shape) > 1:
            name = _one_form(_DOWN.sub("", _PREFIX.sub("", key)))
            if not _ELSEWHERE.match(name):
                yield name, shape[1]


def _layers(folder: Path) -> Iterator[tuple[str, int]]:
    for path in sorted(folder.glob("*.safetensors")):
        shapes: Mapping[str, tuple[int, ...]] = tensor_shapes(path)
        for key, shape in shapes.items():
            if key.endswith(".weight") and len(shape) > 1:
                yield _one_form(key.removesuffix(".weight")), shape[1]


def _one_form(layer: str) -> str:
    """Return a layer's name as all programs write it.

    >>> _one_form("down_blocks.0.attentions.0.proj_in")
    'down_blocks_0_attentions_0_proj_in'
    """
    return layer.replace(".", "_")
