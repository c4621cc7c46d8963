"""Style descriptors taught to leave content out: CSD, from weights that lie on this machine.

A CLIP image encoder whose last projection was taught on pairs of one style (Somepalli et al. 2024,
"Measuring Style Similarity in Diffusion Models"). Its sizes follow from the shapes of its tensors.
Nothing is downloaded, and of a pickle only the numbers are read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from open_clip.transformer import QuickGELU, VisionTransformer

from metrics import frames as frames_
from metrics.base import Frames
from metrics.extractors.base import WeightsError, file_digest, verify_digest
from metrics.extractors.torch_files import named_tensors

WHERE: Final = "https://huggingface.co/tomg-group-umd/CSD-ViT-L"
LICENCE: Final = "CC-BY-4.0, as that page states"

HEAD_WIDTH: Final = 64
"""Features of one attention head in every encoder of CLIP's first release."""

MOST_LAYERS: Final = 64

# CLIP's normalisation of RGB in [0, 1].
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)

_BACKBONE, _STYLE = "backbone.", "last_layer_style"
_WRAPPERS = ("model_state_dict.", "module.")
"""What training puts before the names."""


@dataclass(frozen=True, slots=True)
class StyleDescriptor:
    """Unit style features of images; `batch_size` bounds memory."""

    network: Any
    style: torch.Tensor
    id: str
    digest: str
    batch_size: int
    device: str = "cpu"

    @torch.inference_mode()
    def image_features(self, images: Frames) -> NDArray[np.float32]:
        """Unit rows (n, d) of images uint8 (n, h, w, 3), of which the centred square is seen."""
        side = self.network.image_size[0]
        squares = frames_.resize(images, side, side, fit="crop")
        starts = range(0, len(squares), self.batch_size)
        rows = [self._batch(squares[i : i + self.batch_size]) for i in starts]
        return np.asarray(torch.cat(rows).cpu().numpy(), dtype=np.float32)

    def _batch(self, images: Frames) -> torch.Tensor:
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (_MEAN, _STD))
        unit = torch.from_numpy(frames_.to_unit(images)).permute(0, 3, 1, 2)
        seen = self.network(((unit - mean) / std).to(self.device))
        return torch.nn.functional.normalize(seen @ self.style, dim=-1)


def load_csd(
    weights: Path, *, batch_size: int, device: str = "cpu", expected_sha256: str | None = None
) -> StyleDescriptor:
    """Load CSD from its published file, or from its tensors as safetensors.

    Raises:
        WeightsError: missing, damaged, of another digest, or no such network.
    """
    if not weights.is_file():
        raise WeightsError(
            f"{weights}: no weights of CSD. Get them from {WHERE} ({LICENCE}) and give the file's "
            "path; nothing is downloaded here."
        )
    verify_digest(weights, expected_sha256)
    tensors = {_plain(name): value for name, value in named_tensors(weights).items()}
    try:
        own = {n.removeprefix(_BACKBONE): v for n, v in tensors.items() if n.startswith(_BACKBONE)}
        network = _encoder(own)
        network.load_state_dict({name: value.float() for name, value in own.items()}, assign=True)
        style = tensors[_STYLE].reshape(network.transformer.width, -1)
    except (KeyError, IndexError, RuntimeError, ValueError, ArithmeticError) as error:
        raise WeightsError(f"{weights}: these are not the weights of CSD ({error})") from error
    identity = f"csd vit-{network.transformer.width}-{network.patch_size[0]}"
    return StyleDescriptor(
        network.eval().to(device),
        style.float().to(device),
        identity,
        file_digest(weights),
        batch_size,
        device,
    )


def _plain(name: str) -> str:
    for wrapper in _WRAPPERS:
        name = name.removeprefix(wrapper)
    return name


def _encoder(tensors: dict[str, torch.Tensor]) -> Any:
    """Return an encoder of the sizes that the tensors have; its own take no memory yet."""
    width, _, patch, _ = tensors["conv1.weight"].shape
    side = math.isqrt(tensors["positional_embedding"].shape[0] - 1)
    blocks = {name.split(".")[2] for name in tensors if name.startswith("transformer.resblocks.")}
    hidden = tensors["transformer.resblocks.0.mlp.c_fc.weight"].shape[0]
    if blocks != {str(number) for number in range(len(blocks))} or len(blocks) > MOST_LAYERS:
        raise ValueError(f"expected up to {MOST_LAYERS} blocks, numbered from 0")
    if width % HEAD_WIDTH:
        raise ValueError(f"expected a multiple of {HEAD_WIDTH} features, got {width}")
    with torch.device("meta"):
        network = VisionTransformer(
            image_size=side * patch,
            patch_size=patch,
            width=width,
            layers=len(blocks),
            heads=width // HEAD_WIDTH,
            mlp_ratio=hidden / width,
            output_dim=width,
            act_layer=QuickGELU,
        )
    network.proj = None  # the style projection takes its place
    return network
