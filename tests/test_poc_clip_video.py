"""A network whose weights are given scores any clips, under its own name, by what its files are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import VideoMAEConfig, VideoMAEModel

from metrics import frames as frames_
from metrics.base import Frames
from metrics.extractors.base import Preparation
from metrics.extractors.i3d import I3d, load_i3d
from metrics.frechet import frechet_distance, polynomial_mmd
from poc.cli import main
from poc.clip_records import FrameShape, MetricSummary
from poc.clip_video import LOCK, GivenVideo
from poc.errors import InputError
from poc.measure_folder import FolderJob, FolderResult, measure_folder
from poc.video import encode_webm

FEW = 3


def _clip(seed: int) -> Frames:
    rng = np.random.default_rng(seed)
    still = rng.integers(40, 216, (1, 24, 32, 3))
    moved = still + rng.integers(-30, 30, (10, 24, 32, 3))
    return np.asarray(np.clip(moved, 0, 255), dtype=np.uint8)


def _folder(path: Path, seeds: range) -> Path:
    path.mkdir()
    for seed in seeds:
        (path / f"{seed}.webm").write_bytes(encode_webm(_clip(seed), 8))
    return path


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("clips")
    return _folder(root / "made", range(FEW)), _folder(root / "real", range(10, 10 + FEW))


@pytest.fixture(scope="module")
def i3d(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights") / "i3d-thin"
    folder.mkdir()
    network = I3d(classes=8, eps=1e-5, thinner=16)
    save_file(network.state_dict(), folder / "model.safetensors")
    config = {"network": "i3d", "classes": 8, "norm_eps": 1e-5, "thinner": 16}
    (folder / "config.json").write_text(json.dumps(config | {"minimum_frames": 10}))
    return folder


def _measured(clips: tuple[Path, Path], video: GivenVideo, out: Path | None = None) -> FolderResult:
    job = FolderJob(folder=clips[0], reference=clips[1], video=video, out=out)
    return measure_folder(job, progress=lambda *_: None)


def _found(result: FolderResult, metric: str) -> MetricSummary:
    return next(one for one in result.summary.metrics if one.metric == metric)


def _given(folder: Path, lock: Path, preparation: Preparation = Preparation.CLEAN) -> GivenVideo:
    return GivenVideo.read(folder, preparation, lock)


def test_distances_of_real_clips_are_those_of_the_given_network(
    clips: tuple[Path, Path], i3d: Path, tmp_path: Path
) -> None:
    result = _measured(clips, _given(i3d, tmp_path / "lock.json"))

    extractor = load_i3d(i3d, preparation=Preparation.CLEAN, expected_sha256=None)

    def features(folder: Path) -> np.ndarray:
        paths = sorted(folder.iterdir())
        rows = [extractor.features(frames_.decode(path).frames[None])[0] for path in paths]
        return np.stack(rows).astype(np.float64)

    x, y = map(features, clips)
    fvd = _found(result, "fvd")
    assert fvd.value == pytest.approx(frechet_distance(x, y), rel=1e-6)
    assert _found(result, "kvd").value == pytest.approx(polynomial_mmd(x, y), rel=1e-6)
    said = " ".join(fvd.notes)
    assert "noise floor" in said
    assert ", ratio " in said
    assert "rank-deficient: 3 clips against 3 cannot span 8 features" in said
    assert "extractor i3d-400/logits/clean-1" in said


def test_a_second_run_takes_features_from_the_cache_and_another_preparation_does_not(
    clips: tuple[Path, Path], i3d: Path, tmp_path: Path
) -> None:
    lock, out = tmp_path / "lock.json", tmp_path / "out"
    first = _measured(clips, _given(i3d, lock), out)
    again = _measured(clips, _given(i3d, lock), out)
    other = _measured(clips, _given(i3d, lock, Preparation.PAPER), out)

    assert (again.taken, again.summary) == (0, first.summary)
    assert other.taken == 2 * FEW
    assert _found(other, "fvd").value != _found(first, "fvd").value


def test_other_weights_of_the_same_name_are_refused_and_elsewhere_measured_anew(
    clips: tuple[Path, Path], i3d: Path, tmp_path: Path
) -> None:
    lock, out = tmp_path / "lock.json", tmp_path / "out"
    first = _given(i3d, lock)
    _measured(clips, first, out)
    changed = tmp_path / "i3d-thin"
    changed.mkdir()
    weights = load_file(i3d / "model.safetensors")
    save_file({k: v * 1.5 for k, v in weights.items()}, changed / "model.safetensors")
    (changed / "config.json").write_bytes((i3d / "config.json").read_bytes())

    with pytest.raises(InputError, match=r"model\.safetensors: expected sha256"):
        _given(changed, lock)
    result = _measured(clips, _given(changed, tmp_path / "other.json"), out)
    assert result.taken == 2 * FEW


def test_a_clip_shorter_than_the_network_needs_has_no_distance(i3d: Path, tmp_path: Path) -> None:
    video = _given(i3d, tmp_path / "lock.json")

    assert "needs 10 frames" in video.why_not(FrameShape(num_frames=9, height=8, width=8, fps=8))
    assert not video.why_not(FrameShape(num_frames=10, height=8, width=8, fps=8))


def test_a_videomae_of_a_folder_is_taken_too(clips: tuple[Path, Path], tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = VideoMAEConfig(
        image_size=16,
        patch_size=8,
        num_frames=4,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    folder = tmp_path / "videomae-thin"
    VideoMAEModel(config).save_pretrained(folder)
    stated = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(stated))

    result = _measured(clips, _given(folder, tmp_path / "lock.json"))

    assert _found(result, "kvd").value is not None
    assert "extractor videomae/mean/clean-1" in _found(result, "kvd").notes


@pytest.mark.parametrize("content", [None, "{}", "[]", '{"network": "i3d"}', "no json"])
def test_a_folder_of_something_else_says_what_was_expected(
    tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)

    with pytest.raises(InputError, match=r"python -m metrics\.extractors\.i3d"):
        _given(tmp_path, tmp_path / "lock.json")
    assert not (tmp_path / "lock.json").exists()


def test_the_command_says_what_it_pinned_and_needs_a_reference(
    clips: tuple[Path, Path], i3d: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = tmp_path / "lock.json"
    asked = ["measure", str(clips[0]), "--video-network", str(i3d), "--weights-lock", str(lock)]

    assert main(asked) == 2
    assert "need --reference" in capsys.readouterr().err
    assert main([*asked, "--reference", str(clips[1]), "--fvd", "paper"]) == 0
    first = capsys.readouterr()
    assert "pinned at first use" in first.err
    assert "i3d-400/logits/paper-1" in first.out
    assert main([*asked, "--reference", str(clips[1]), "--fvd", "paper"]) == 0
    assert "pinned" not in capsys.readouterr().err


def test_the_lock_lies_beside_the_network_and_nothing_in_the_working_directory(
    i3d: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    network = Path(shutil.copytree(i3d, tmp_path / "weights" / "i3d"))
    (tmp_path / "none").mkdir()
    asked = ["measure", str(tmp_path / "none"), "--reference", str(tmp_path / "none")]
    asked += ["--video-network", str(network)]

    assert main(asked) == 2  # a folder without clips; the network was looked at before
    assert "pinned at first use in " in capsys.readouterr().err
    assert (network.parent / LOCK).is_file()
    assert list((tmp_path / "here").iterdir()) == []

    (network.parent / LOCK).rename(LOCK)
    main(asked)
    said = capsys.readouterr().err
    assert f"{LOCK}: taken from the working directory. Move it to {network.parent / LOCK}." in said
    assert "pinned" not in said
    assert not (network.parent / LOCK).exists()
