"""What a folder's clips have in common: little variety over seeds, or one and the same mark."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metrics import frames
from metrics.base import Frames
from metrics.diversity import clip_feature, seed_diversity
from metrics.extractors.clip import load_clip
from metrics.faults import FAULTS
from poc.clip_records import MetricSummary
from poc.measure_folder import FolderJob, FolderResult, measure_folder
from poc.models import read_models
from poc.tiny import world
from poc.video import encode_webm

TEXTS = world.unseen_prompts(18)


def _rendered(number: int, seed: int) -> Frames:
    return world.render_clip(world.parse(TEXTS[number]), np.random.default_rng([seed, number]))


def _measured(folder: Path, **options: Any) -> FolderResult:
    return measure_folder(FolderJob(folder=folder, **options), progress=lambda *_: None)


def _found(result: FolderResult, metric: str) -> MetricSummary:
    return next(one for one in result.summary.metrics if one.metric == metric)


def _seeds(folder: Path, *, prompts: int = 3, seeds: int = 3) -> Path:
    """Clips of several seeds a prompt, and the CSV that says of which."""
    folder.mkdir()
    lines = ["file,prompt"]
    for number in range(prompts):
        for seed in range(seeds):
            name = f"{number}-{seed}.webm"
            (folder / name).write_bytes(encode_webm(_rendered(number, seed), 8))
            lines.append(f'{name},"{TEXTS[number]}"')
    (folder.parent / "prompts.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


def test_diversity_is_that_of_the_clips_features_by_prompt(tmp_path: Path) -> None:
    folder = _seeds(tmp_path / "clips")

    result = _measured(folder, judges="tiny", prompts=str(tmp_path / "prompts.csv"))

    network = load_clip(
        Path(read_models().verify("tiny-clip")),
        extractor_id="x",
        batch_size=64,
        expected_sha256=None,
    )
    seen = [
        clip_feature(network.image_features(frames.decode(folder / clip.name).frames))
        for clip in result.clips
    ]
    expected = seed_diversity(np.stack(seen), [clip.prompt for clip in result.clips])
    found = _found(result, "seed_diversity")
    assert found.value == pytest.approx(expected.value, rel=1e-5)
    assert (found.n_clips, found.n_clusters, found.clusters) == (9, 3, "prompts")
    assert found.low is not None


def test_seeds_that_give_one_clip_have_no_diversity(tmp_path: Path) -> None:
    folder = _seeds(tmp_path / "clips", seeds=1)
    shutil.copy(folder / "0-0.webm", folder / "0-9.webm")
    with (tmp_path / "prompts.csv").open("a", encoding="utf-8") as file:
        file.write(f'0-9.webm,"{TEXTS[0]}"\n')

    prompts = str(tmp_path / "prompts.csv")
    found = _found(_measured(folder, judges="tiny", prompts=prompts), "seed_diversity")

    assert found.value == pytest.approx(0.0, abs=1e-6)
    assert found.n_clips == 2


def test_without_a_network_or_a_second_seed_there_is_no_diversity(tmp_path: Path) -> None:
    folder = _seeds(tmp_path / "clips", seeds=1)
    prompts = str(tmp_path / "prompts.csv")

    for judges in (None, "tiny"):
        found = _found(_measured(folder, judges=judges, prompts=prompts), "seed_diversity")
        assert found.value is None
        assert "no prompt has two clips" in found.reason


def _folder(path: Path, spoil: str | None) -> Path:
    path.mkdir()
    rng = np.random.default_rng(0)
    for number in range(18):
        clip = _rendered(number, 5)
        spoilt = FAULTS[spoil](clip, rng) if spoil else clip
        (path / f"{number:02}.webm").write_bytes(encode_webm(spoilt, 8))
    return path


def test_a_mark_on_all_clips_is_found_and_clean_clips_have_none(tmp_path: Path) -> None:
    clean, marked = (
        _found(_measured(_folder(tmp_path / name, spoil)), "overlay_rate")
        for name, spoil in (("clean", None), ("marked", "watermark"))
    )

    assert (clean.value, clean.notes) == (0.0, ())
    assert marked.value is not None
    assert marked.value > 0.8
    assert marked.notes[0].startswith("marked: 0")


def test_clips_of_one_prompt_are_no_proof_of_a_mark(tmp_path: Path) -> None:
    folder = _seeds(tmp_path / "clips", prompts=2, seeds=9)

    found = _found(_measured(folder, prompts=str(tmp_path / "prompts.csv")), "overlay_rate")

    assert (found.value, found.reason) == (None, "takes 16 clips of different prompts, got 2")


def test_a_second_run_takes_both_from_the_cache(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "clips", "watermark")
    options: dict[str, Any] = {"judges": "tiny", "out": tmp_path / "out"}
    first, again = (_measured(folder, **options) for _ in range(2))

    assert again.taken == 0
    assert again.summary == first.summary
