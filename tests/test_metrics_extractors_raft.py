"""RAFT from local weights: torchvision's flow, for frames of any size, in any batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.models.optical_flow import raft_large

from metrics.base import Frames
from metrics.extractors import raft as module
from metrics.extractors.base import WeightsError
from metrics.extractors.raft import SMALLEST_SIDE, Raft, load_raft, pair_bytes, why_not

FRAMES: Frames = np.random.default_rng(0).integers(0, 256, (4, 128, 136, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def network() -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return raft_large(weights=None).eval()


@pytest.fixture(scope="module")
def file(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("raft") / "raft.safetensors"
    save_file(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def raft(file: Path) -> Raft:
    return load_raft(file, batch_size=2)


def _by_torchvision(network: Any, frames: Frames) -> np.ndarray:
    signed = torch.from_numpy(frames.astype(np.float32) / 127.5 - 1).permute(0, 3, 1, 2)
    with torch.inference_mode():
        flow = network(signed[:-1], signed[1:], num_flow_updates=12)[-1]
    return np.asarray(flow.permute(0, 2, 3, 1))


def test_the_flow_is_torchvisions_one_pair_after_the_other(network: Any, raft: Raft) -> None:
    expected = np.concatenate([_by_torchvision(network, FRAMES[i : i + 2]) for i in range(3)])
    assert raft.flows(FRAMES) == pytest.approx(expected, abs=1e-3)


def test_sides_that_are_no_multiple_are_continued_by_their_edges(network: Any, raft: Raft) -> None:
    odd = FRAMES[:2, :, :131]
    padded = np.pad(odd, ((0, 0), (0, 0), (0, 5), (0, 0)), mode="edge")
    found = raft.flows(odd)
    assert found.shape == (1, 128, 131, 2)
    assert found == pytest.approx(_by_torchvision(network, padded)[:, :, :131], abs=1e-3)


def test_speeds_are_lengths_of_the_flow(raft: Raft) -> None:
    x, y = np.moveaxis(raft.flows(FRAMES[:2]).astype(np.float64), -1, 0)
    assert raft.speeds(FRAMES[:2]) == pytest.approx(np.sqrt(x**2 + y**2))


def test_one_frame_has_no_pair(raft: Raft) -> None:
    assert raft.speeds(FRAMES[:1]).shape == (0, 128, 136)


def test_small_frames_are_refused(raft: Raft) -> None:
    with pytest.raises(ValueError, match=f"at least {SMALLEST_SIDE} px, got 64x64"):
        raft.flows(FRAMES[:, :64, :64])


def test_published_files_are_read_as_numbers(network: Any, raft: Raft, tmp_path: Path) -> None:
    torch.save(network.state_dict(), tmp_path / "raft.pth")
    found = load_raft(tmp_path / "raft.pth", batch_size=2)
    assert (found.flows(FRAMES[:2]) == raft.flows(FRAMES[:2])).all()


def test_other_weights_are_refused(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match="not the weights of RAFT"):
        load_raft(tmp_path / "x.safetensors", batch_size=2)


def test_a_missing_file_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"download\.pytorch\.org/models/raft_large"):
        load_raft(tmp_path / "none.pth", batch_size=2)


def test_frames_whose_correlations_take_too_much_are_refused_before_they_are_made() -> None:
    assert "too much memory" in why_not(1080, 1920)
    assert why_not(720, 1280) == ""


def test_large_frames_go_through_one_pair_at_a_time(
    raft: Raft, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = raft.flows(FRAMES)
    monkeypatch.setattr(module, "MOST_BYTES", pair_bytes(128, 136) + 1)
    sizes = []
    pairs = Raft._pairs

    def watched(self: Raft, frames: Frames) -> Any:
        sizes.append(len(frames))
        return pairs(self, frames)

    monkeypatch.setattr(Raft, "_pairs", watched)
    assert raft.flows(FRAMES) == pytest.approx(expected, abs=1e-3)
    assert sizes == [2, 2, 2]
