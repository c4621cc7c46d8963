"""I3D of Carreira and Zisserman, trained on Kinetics-400: the network behind FVD.

The network code is ours; it loads safetensors. The published files are a pickle and a TorchScript
archive, which `convert` reads once without executing anything:

    python -m metrics.extractors.i3d i3d_pretrained_400.pt weights/i3d-400
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from metrics.extractors.base import Preparation, WeightsError, file_digest, video_id
from metrics.extractors.tiny import CONFIG, WEIGHTS, NetworkExtractor, load_network
from metrics.extractors.torch_files import Tensor, read_tensors, script_of

NETWORK: Final = "i3d-400"
SIDE: Final = 224
MINIMUM_FRAMES: Final = 10
"""What the published implementations ask for; 16 is usual, and no two lengths compare."""

Head = Literal["logits", "pooled"]
"""`logits` (n, classes), before the softmax, are FVD's; `pooled` (n, 1024) is the layer below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFile:
    """A published file, known by its git blob id, and a value that the literature has for it.

    `step` is the squared distance of the logits of an all-black and an all-white clip of 16
    frames: the FVD that JunyaoHu/common_metrics_on_video_quality prints for its example of zeros
    against ones after 16 frames.
    """

    name: str
    git_blob: str
    shown_by: str
    to_be_had: str
    step: float


PUBLISHED: Final = (
    PublishedFile(
        name="i3d_pretrained_400.pt",
        git_blob="a867b87ac3a9097d200598b1d48a1b890d8ec744",
        shown_by="the git trees of songweige/TATS (tats/fvd), G-U-N/AnimateLCM (metrics) and "
        "JunyaoHu/common_metrics_on_video_quality (fvd/videogpt)",
        to_be_had="https://github.com/songweige/TATS, tats/fvd/i3d_pretrained_400.pt",
        step=152.9175,
    ),
    PublishedFile(
        name="i3d_torchscript.pt",
        git_blob="93daef59c7ae0e9e8f76225521407e60cbafa6aa",
        shown_by="the git tree of JunyaoHu/common_metrics_on_video_quality (fvd/styleganv)",
        to_be_had="https://github.com/JunyaoHu/common_metrics_on_video_quality, "
        "fvd/styleganv/i3d_torchscript.pt",
        step=152.9175,
    ),
)
STEP_TOLERANCE: Final = 0.03
"""Relative. That repository has 151.17 and 151.26 for one input, and 151.39 by TensorFlow."""

# Width of every branch: 1x1; 1x1 and 3x3x3; 1x1 and 3x3x3; max pool and 1x1. Source: Carreira and
# Zisserman 2017, arXiv 1705.07750, figure 3, after Szegedy et al. 2014.
_MIXED: Final[Mapping[str, tuple[int, int, int, int, int, int]]] = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
_LOGITS: Final = "logits"

Window = tuple[int, int, int]


def padded(x: torch.Tensor, kernel: Window, stride: Window) -> torch.Tensor:
    """Pad (n, c, t, h, w) with zeros as TensorFlow's SAME does: the odd one goes behind.

    Before a max pool zeros change nothing, since every map here has been through a ReLU.
    """
    widths: list[int] = []
    for size, k, step in zip(
        reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True
    ):
        total = max((math.ceil(size / step) - 1) * step + k - size, 0)
        widths += [total // 2, total - total // 2]
    return F.pad(x, widths)


class _Norm(torch.nn.Module):
    """Batch normalisation by stored moments."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = torch.nn.Parameter(torch.ones(width))
        self.bias = torch.nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, variance = self.get_buffer("running_mean"), self.get_buffer("running_var")
        return F.batch_norm(x, mean, variance, self.weight, self.bias, eps=self.eps)


class _Unit(torch.nn.Module):
    """Convolution, normalisation, ReLU."""

    def __init__(self, channels: tuple[int, int], kernel: int, stride: int, eps: float) -> None:
        super().__init__()
        self.kernel, self.stride = (kernel,) * 3, (stride,) * 3
        self.conv3d = torch.nn.Conv3d(*channels, kernel, stride, bias=False)
        self.bn = _Norm(channels[1], eps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.bn(self.conv3d(padded(x, self.kernel, self.stride))))


class _Pool(torch.nn.Module):
    """Max pool with padding as above."""

    def __init__(self, kernel: Window, stride: Window) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.max_pool3d(padded(x, self.kernel, self.stride), self.kernel, self.stride)


class _Mixed(torch.nn.Module):
    """Four branches beside each other; their maps are stacked."""

    def __init__(self, channels: int, widths: Sequence[int], eps: float) -> None:
        super().__init__()
        w0, w1a, w1b, w2a, w2b, w3 = widths
        self.b0 = _Unit((channels, w0), 1, 1, eps)
        self.b1a, self.b1b = _Unit((channels, w1a), 1, 1, eps), _Unit((w1a, w1b), 3, 1, eps)
        self.b2a, self.b2b = _Unit((channels, w2a), 1, 1, eps), _Unit((w2a, w2b), 3, 1, eps)
        self.b3a, self.b3b = _Pool((3, 3, 3), (1, 1, 1)), _Unit((channels, w3), 1, 1, eps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        branches = [
            self.b0(x),
            self.b1b(self.b1a(x)),
            self.b2b(self.b2a(x)),
            self.b3b(self.b3a(x)),
        ]
        return torch.cat(branches, dim=1)


class _Logits(torch.nn.Module):
    """The classifier: a 1x1x1 convolution with a bias."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.conv3d = torch.nn.Conv3d(channels, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.conv3d(x))


class I3d(torch.nn.Module):
    """Inception-v1 inflated to three dimensions; `thinner` divides every width, for tests.

    Takes float32 (n, 3, t, 224, 224) in [-1, 1] with t >= 9. `eps` is the normalisation's.
    """

    def __init__(self, *, classes: int, eps: float, thinner: int = 1) -> None:
        super().__init__()
        thin = 64 // thinner
        body = torch.nn.Sequential()
        body.add_module("Conv3d_1a_7x7", _Unit((3, thin), 7, 2, eps))
        body.add_module("MaxPool3d_2a_3x3", _Pool((1, 3, 3), (1, 2, 2)))
        body.add_module("Conv3d_2b_1x1", _Unit((thin, thin), 1, 1, eps))
        body.add_module("Conv3d_2c_3x3", _Unit((thin, 3 * thin), 3, 1, eps))
        body.add_module("MaxPool3d_3a_3x3", _Pool((1, 3, 3), (1, 2, 2)))
        channels, stage = 3 * thin, "3"
        for name, widths in _MIXED.items():
            if name[6] != stage:
                stage = name[6]
                size = 3 if stage == "4" else 2
                body.add_module(f"MaxPool3d_{stage}a", _Pool((size,) * 3, (2, 2, 2)))
            thinned = [width // thinner for width in widths]
            body.add_module(name, _Mixed(channels, thinned, eps))
            channels = thinned[0] + thinned[2] + thinned[4] + thinned[5]
        self.body, self.logits = body, _Logits(channels, classes)
        self.classes, self.width = classes, channels

    def forward(self, clips: torch.Tensor, head: Head = "logits") -> torch.Tensor:
        """Logits (n, classes), or the pooled features (n, width) beneath them."""
        pooled = F.avg_pool3d(self.body(clips), (2, 7, 7), stride=1)
        if head == "logits":
            pooled = self.logits(pooled)
        # One cell is left of every frame; the mean is over time.
        return pooled.flatten(3).squeeze(3).mean(dim=2)


class _Prepared(torch.nn.Module):
    """I3D on clips of any size, float32 (n, 3, t, h, w) in [-1, 1]."""

    def __init__(self, network: torch.nn.Module, preparation: Preparation, head: Head) -> None:
        super().__init__()
        self.network, self.preparation, self.head = network, preparation, head

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.network(prepare(clips, self.preparation), self.head))


def prepare(clips: torch.Tensor, preparation: Preparation, side: int = SIDE) -> torch.Tensor:
    """Bring clips (n, c, t, h, w) of floats to (n, c, t, side, side)."""
    clean = preparation is Preparation.CLEAN
    square = _centred_square(clips) if clean else clips
    if square.shape[3:] == (side, side):
        return square
    n, c, t = square.shape[:3]
    frames = square.transpose(1, 2).flatten(0, 1)
    resized = F.interpolate(
        frames, (side, side), mode="bilinear", align_corners=False, antialias=clean
    )
    return resized.view(n, t, c, side, side).transpose(1, 2)


def _centred_square(clips: torch.Tensor) -> torch.Tensor:
    height, width = clips.shape[3:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return clips[..., top : top + side, left : left + side]


def load_i3d(
    folder: Path,
    *,
    preparation: Preparation,
    head: Head = "logits",
    batch_size: int = 1,
    expected_sha256: str | None,
    device: str = "cpu",
) -> NetworkExtractor:
    """Load what `convert` wrote; the id names network, head and preparation.

    Raises:
        WeightsError: a file is missing, damaged or of another digest, or does not fit.
    """
    config = read_config(folder)
    pooled = sum(_MIXED["Mixed_5c"][i] for i in (0, 2, 4, 5)) // config["thinner"]
    bare = load_network(
        folder,
        _built,
        extractor_id=video_id(NETWORK, head, preparation),
        dimension=config["classes"] if head == "logits" else pooled,
        minimum_frames=MINIMUM_FRAMES,
        batch_size=batch_size,
        expected_sha256=expected_sha256,
        device=device,
    )
    return replace(bare, module=_Prepared(bare.module, preparation, head).eval())


def read_config(folder: Path) -> dict[str, Any]:
    """Return what `convert` wrote beside the weights.

    Raises:
        WeightsError: it is no such folder; says where to get the weights.
    """
    try:
        config: dict[str, Any] = json.loads((folder / CONFIG).read_bytes())
        known = config["network"] == "i3d" and (folder / WEIGHTS).is_file()
    except (OSError, ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise WeightsError(
            f"{folder}: expected {CONFIG} and {WEIGHTS} as `python -m metrics.extractors.i3d` "
            f"writes them. {_where()}"
        )
    return config


def _built(config: Mapping[str, Any]) -> I3d:
    return I3d(classes=config["classes"], eps=config["norm_eps"], thinner=config["thinner"])


# --- conversion ----------------------------------------------------------------------------------


def convert(
    file: Path, folder: Path, *, published: Sequence[PublishedFile] = PUBLISHED, thinner: int = 1
) -> PublishedFile:
    """Turn a published file into a folder for `load_i3d`; return what the file was known as.

    The file's git blob id is compared before a byte of it is interpreted. The converted network
    must then give the published value (`PublishedFile.step`), so a layer in the wrong place or
    another eps does not pass.

    Raises:
        WeightsError: the digest is none that is published, or what is inside does not fit.
    """
    found = git_blob(file)
    known = next((one for one in published if one.git_blob == found), None)
    if known is None:
        ids = ", ".join(
            f"{one.git_blob} ({one.name}, shown by {one.shown_by})" for one in published
        )
        raise WeightsError(
            f"{file}: expected git blob {ids}; got {found}. It was not opened. {_where(published)}"
        )
    network, eps = _converted(file, read_tensors(file), thinner)
    step = black_white_step(network)
    if abs(step - known.step) > STEP_TOLERANCE * known.step:
        raise WeightsError(
            f"{file}: an all-black and an all-white clip of 16 frames should be {known.step:.4f} "
            f"apart, as published; the converted network says {step:.4f}. Nothing was written."
        )
    _write(folder, network, {"norm_eps": eps, "thinner": thinner, "git_blob": found})
    return known


def _write(folder: Path, network: I3d, facts: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(network.state_dict(), folder / WEIGHTS)
    least = {"minimum_frames": MINIMUM_FRAMES}
    config = {"network": "i3d", "classes": network.classes, **least, **facts}
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n")
    # What pins them: the index that a table of models reads, beside the folder.
    home = folder.resolve()
    digests = {f"{home.name}/{name}": file_digest(home / name) for name in (CONFIG, WEIGHTS)}
    index = home.with_name(f"{home.name}.index.json")
    index.write_text(json.dumps({"files": digests}, indent=1) + "\n")


def git_blob(file: Path) -> str:
    """Return the id that git gives a file's content, as `git hash-object` does.

    Raises:
        WeightsError: the file cannot be read.
    """
    try:
        state = hashlib.sha1(f"blob {file.stat().st_size}\0".encode(), usedforsecurity=False)
        with file.open("rb") as stream:
            while piece := stream.read(1 << 20):
                state.update(piece)
    except OSError as error:
        raise WeightsError(f"{file}: cannot be read ({error.strerror}). {_where()}") from error
    return state.hexdigest()


@torch.inference_mode()
def black_white_step(network: I3d, frames: int = 16) -> float:
    """Squared distance of the logits of an all-black and an all-white clip."""
    clips = torch.ones(2, 3, frames, SIDE, SIDE) * torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1, 1)
    black, white = network.eval()(clips).double()
    return float(((black - white) ** 2).sum())


def _where(published: Sequence[PublishedFile] = PUBLISHED) -> str:
    return "To be had: " + "; ".join(f"{one.name} from {one.to_be_had}" for one in published)


def _converted(file: Path, tensors: Mapping[str, Tensor], thinner: int) -> tuple[I3d, float]:
    """Return a network with a file's weights; by their names, or else by their order."""
    weights = {
        name: torch.from_numpy(value)
        for name, value in tensors.items()
        if not name.endswith("num_batches_tracked")
    }
    named = f"{_LOGITS}.conv3d.bias" in weights
    eps = _NAMED_EPS if named else _eps_of(script_of(file))
    if named:
        classes = len(weights[f"{_LOGITS}.conv3d.bias"])
        state = {_ours(name): value for name, value in weights.items()}
    else:
        classes, state = _in_order(weights, I3d(classes=1, eps=eps, thinner=thinner))
    network = I3d(classes=classes, eps=eps, thinner=thinner)
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise WeightsError(f"{file}: these are not I3D's layers ({error!s:.400})") from error
    return network.eval(), eps


_NAMED_EPS: Final = 1e-5
"""Of the network code that VideoGPT, TATS and AnimateLCM load the pickle into."""


def _ours(name: str) -> str:
    return name if name.startswith(f"{_LOGITS}.") else f"body.{name}"


def _in_order(
    weights: Mapping[str, torch.Tensor], like: I3d
) -> tuple[int, dict[str, torch.Tensor]]:
    """Match layers whose names are unknown with ours, in order and by shape.

    Both orders are the network's: stem, then of every block the four branches from first to
    last. The classifier, which alone has a bias, may stand anywhere.
    """
    groups: dict[str, dict[str, torch.Tensor]] = {}
    for name, value in weights.items():
        module, _, attribute = name.rpartition(".")
        groups.setdefault(module, {})[attribute] = value
    is_conv = {
        name: "weight" in group and group["weight"].ndim == 5 for name, group in groups.items()
    }
    last = [group for name, group in groups.items() if is_conv[name] and "bias" in group]
    convs = [group for name, group in groups.items() if is_conv[name] and "bias" not in group]
    norms = [group for group in groups.values() if "running_mean" in group]
    units = [name for name, module in like.named_modules() if isinstance(module, _Unit)]
    if (len(last), len(convs), len(norms)) != (1, len(units), len(units)):
        raise WeightsError(
            f"expected {len(units)} convolutions, as many normalisations and one classifier, got "
            f"{len(convs)}, {len(norms)} and {len(last)}"
        )
    state = {f"{_LOGITS}.conv3d.{name}": value for name, value in last[0].items()}
    for unit, conv, norm in zip(units, convs, norms, strict=True):
        state[f"{unit}.conv3d.weight"] = conv["weight"]
        ones = torch.ones_like(norm["running_mean"])
        state |= {f"{unit}.bn.{name}": value for name, value in ({"weight": ones} | norm).items()}
    return len(last[0]["bias"]), state


_LAST_NUMBER: Final = re.compile(r",\s*([0-9.]+(?:e-?[0-9]+)?)(?:,\s*(?:True|False))?,?\s*\)")


def _eps_of(script: str) -> float:
    """Return the eps that a TorchScript archive's text states, the last number of its calls.

    >>> _eps_of("y = torch.batch_norm(x, w, b, m, v, False, 0.1, 1.0000000000000001e-05, True)")
    1e-05
    """
    numbers = {float(text) for text in _LAST_NUMBER.findall(script)}
    found = sorted(eps for eps in (1e-5, 1e-3) if any(math.isclose(eps, n) for n in numbers))
    if len(found) != 1:
        raise WeightsError(
            f"expected a TorchScript archive whose text states one eps of 1e-5 or 1e-3, got {found}"
        )
    return found[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert a published file from the command line; 2 says why not."""
    parser = argparse.ArgumentParser(
        prog="python -m metrics.extractors.i3d",
        description="Turn a published I3D file into safetensors, without executing it.",
        epilog=_where(),
    )
    parser.add_argument("file", type=Path, help="i3d_pretrained_400.pt or i3d_torchscript.pt")
    parser.add_argument("folder", type=Path, help="where config.json and the weights go")
    asked = parser.parse_args(arguments)
    try:
        known = convert(asked.file, asked.folder)
    except WeightsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{asked.folder}: I3D from {known.name}, git blob {known.git_blob}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
