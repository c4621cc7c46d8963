"""LPIPS from local weights: the published arithmetic, nothing downloaded, nothing unpickled."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F
from torchvision.models import alexnet

from metrics.base import Frames
from metrics.extractors.base import WeightsError, file_digest
from metrics.extractors.lpips import Lpips, load_lpips

RNG = np.random.default_rng(0)
ONE: Frames = RNG.integers(0, 256, (4, 64, 48, 3), dtype=np.uint8)
OTHER: Frames = RNG.integers(0, 256, (4, 64, 48, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    """AlexNet's convolutions with random numbers: same names, same shapes, other values."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = alexnet(weights=None).state_dict()
    return {name: value for name, value in state.items() if name.startswith("features.")}


@pytest.fixture(scope="module")
def file(tensors: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lpips") / "alexnet.safetensors"
    save_file(tensors, path)
    return path


@pytest.fixture(scope="module")
def network(file: Path) -> Lpips:
    return load_lpips(file, batch_size=3)


def test_equal_frames_are_at_distance_zero(network: Lpips) -> None:
    assert network.distances(ONE, ONE).tolist() == [0.0] * 4


def _written_out(tensors: dict[str, torch.Tensor], one: Frames, other: Frames) -> list[float]:
    """Zhang et al. 2018, equation 1, layer by layer."""
    package = resources.files("torchmetrics.functional.image") / "lpips_models" / "alex.pth"
    with resources.as_file(package) as path:
        lines = torch.load(path, map_location="cpu", weights_only=True)
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).view(3, 1, 1)
    layers = (
        (0, 4, 2, False),
        (3, 1, 2, True),
        (6, 1, 1, True),
        (8, 1, 1, False),
        (10, 1, 1, False),
    )

    def features(frames: Frames) -> list[torch.Tensor]:
        x = torch.from_numpy(frames.astype(np.float32) / 127.5 - 1).permute(0, 3, 1, 2)
        x, found = (x - shift) / scale, []
        for index, stride, padding, pooled in layers:
            x = F.max_pool2d(x, 3, 2) if pooled else x
            weight, bias = (tensors[f"features.{index}.{part}"] for part in ("weight", "bias"))
            x = F.relu(F.conv2d(x, weight, bias, stride=stride, padding=padding))
            found.append(x / torch.sqrt((x**2).sum(1, keepdim=True) + 1e-8))
        return found

    total = torch.zeros(len(one))
    for number, (a, b) in enumerate(zip(features(one), features(other), strict=True)):
        weight = next(v for k, v in lines.items() if k.startswith(f"lin{number}."))
        total += ((a - b) ** 2 * weight.view(1, -1, 1, 1)).sum(1).mean((1, 2))
    return [float(value) for value in total]


def test_the_published_equation_written_out_agrees(
    network: Lpips, tensors: dict[str, torch.Tensor]
) -> None:
    # Padding of AlexNet in torchvision: 2, 2, 1, 1, 1; pooling before its second and third layer.
    assert network.distances(ONE, OTHER) == pytest.approx(
        _written_out(tensors, ONE, OTHER), rel=1e-5
    )


def test_batches_change_nothing(file: Path, network: Lpips) -> None:
    alone = load_lpips(file, batch_size=1).distances(ONE, OTHER)

    assert network.distances(ONE, OTHER) == pytest.approx(alone, rel=1e-5)


def test_more_noise_is_further_away(network: Lpips) -> None:
    def noisy(amount: float) -> Frames:
        noise = np.random.default_rng(1).normal(0, amount, ONE.shape)
        return np.clip(np.rint(ONE + noise), 0, 255).astype(np.uint8)

    distances = [float(network.distances(ONE, noisy(a)).mean()) for a in (0, 5, 20, 80)]

    assert distances == sorted(distances)
    assert distances[0] < distances[-1]


def test_a_torch_file_of_tensors_gives_the_same(
    file: Path, network: Lpips, tensors: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    torch.save(tensors, tmp_path / "alexnet.pth")
    again = load_lpips(tmp_path / "alexnet.pth", batch_size=3)

    assert again.distances(ONE, OTHER).tolist() == network.distances(ONE, OTHER).tolist()
    assert again.digest == file_digest(tmp_path / "alexnet.pth") != file_digest(file)


def test_without_weights_it_says_where_they_are(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"download\.pytorch\.org/models/alexnet-owt-7be5be79"):
        load_lpips(tmp_path / "none.pth", batch_size=1)


def test_another_digest_is_refused(file: Path) -> None:
    assert load_lpips(file, batch_size=1, expected_sha256=file_digest(file)).id.startswith("lpips")
    with pytest.raises(WeightsError, match="expected sha256"):
        load_lpips(file, batch_size=1, expected_sha256="0" * 64)


class _Touch:
    """What it is unpickled as is a file that was not there before."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self._path,)


def test_a_pickle_that_would_run_something_runs_nothing(tmp_path: Path) -> None:
    torch.save({"features.0.weight": _Touch(tmp_path / "ran")}, tmp_path / "alexnet.pth")

    with pytest.raises(WeightsError, match="not the weights of AlexNet"):
        load_lpips(tmp_path / "alexnet.pth", batch_size=1)
    assert not (tmp_path / "ran").exists()


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_file({"features.0.weight": torch.zeros(64, 3, 11, 11)}, tmp_path / "a.safetensors")

    with pytest.raises(WeightsError, match="not the weights of AlexNet"):
        load_lpips(tmp_path / "a.safetensors", batch_size=1)


def test_clips_of_two_shapes_or_of_thumbnails_are_refused(network: Lpips) -> None:
    with pytest.raises(ValueError, match="one shape"):
        network.distances(ONE, ONE[:2])
    with pytest.raises(ValueError, match="at least 32 px"):
        network.distances(ONE[:, :16, :16], ONE[:, :16, :16])
