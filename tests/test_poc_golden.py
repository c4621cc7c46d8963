"""The golden clip: whatever moves a number is named before a run, and nothing else stops one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metrics import catalog, frames, temporal
from metrics.base import ClipValue, Frames
from metrics.extractors.clip import OpenClipExtractor
from metrics.frames import DecodedClip
from poc import run
from poc.errors import InputError
from poc.golden import CLIPS, FOLDER, NUMBERS, check_golden, libraries, measured, read_golden
from poc.measure_folder import FolderJob, measure_folder


@pytest.fixture(autouse=True)
def _anew() -> Any:
    """Ask each time: what was found is kept for the rest of a process."""
    check_golden.cache_clear()
    yield
    check_golden.cache_clear()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "golden"))


def _changed(folder: Path, **changes: Any) -> Path:
    content = json.loads((folder / NUMBERS).read_text("utf-8"))
    (folder / NUMBERS).write_text(json.dumps(content | changes), "utf-8")
    return folder


def test_here_and_now_nothing_has_moved() -> None:
    check_golden(networks=True)


def test_every_container_and_every_metric_of_pixels_has_a_number() -> None:
    numbers = set(read_golden(FOLDER).numbers)
    of_pixels = {
        name
        for name, row in catalog.CATALOG.items()
        if row.scope is catalog.Scope.CLIP
        and row.takes
        and {*row.takes} <= {"frames", "flows", "speeds"}
    } - {"validity"}

    assert of_pixels | {"clip_score", "clip_frame_consistency"} <= numbers
    assert {name.partition(" decoded")[0] for name in numbers if " decoded, " in name} == {*CLIPS}


def test_a_tolerance_is_smaller_than_a_change_that_counts() -> None:
    golden = read_golden(FOLDER)

    assert all(0 < one.tolerance <= 0.25 for one in golden.numbers.values())
    assert golden.numbers["flicker"].tolerance < 1e-5


def test_a_metric_that_moved_stops_and_is_named_and_one_within_tolerance_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    true = temporal.flicker
    allowed = read_golden(FOLDER).numbers["flicker"].tolerance

    def moved_by(amount: float) -> None:
        def other(clip: Frames) -> ClipValue:
            return ClipValue.ok((true(clip).value or 0.0) + amount)

        monkeypatch.setattr(temporal, "flicker", other)

    moved_by(0.5 * allowed)
    check_golden(networks=False)

    check_golden.cache_clear()
    moved_by(3 * allowed)
    with pytest.raises(InputError, match=r"^golden clip: flicker is 0\.\d+, expected") as caught:
        check_golden(networks=False)
    assert len(str(caught.value).splitlines()) == 1


def test_a_decoder_that_takes_one_range_for_the_other_stops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    true = frames.decode

    def limited(path: Path, **options: Any) -> DecodedClip:
        clip = true(path, **options)
        if path.suffix != ".mp4":
            return clip
        squeezed = np.rint(16 + clip.frames * (219 / 255)).astype(np.uint8)
        return DecodedClip(squeezed, clip.fps, clip.starts_s)

    monkeypatch.setattr(frames, "decode", limited)

    with pytest.raises(InputError, match=r"clip\.mp4 decoded, red") as caught:
        check_golden(networks=False)
    assert "clip.webm" not in str(caught.value)
    assert "flicker" not in str(caught.value)  # metrics are measured on lossless frames


def test_a_network_that_sees_something_else_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    true = OpenClipExtractor.image_features

    def mirrored(self: OpenClipExtractor, images: Frames) -> Any:
        return true(self, np.ascontiguousarray(images[:, ::-1, :, ::-1]))

    monkeypatch.setattr(OpenClipExtractor, "image_features", mirrored)

    check_golden(networks=False)
    with pytest.raises(InputError, match="golden clip: clip_score"):
        check_golden(networks=True)


def test_the_library_that_changed_is_named(copy: Path) -> None:
    content = json.loads((copy / NUMBERS).read_text("utf-8"))
    content["numbers"]["sharpness"]["value"] *= 1.01
    there = libraries()
    _changed(copy, numbers=content["numbers"], libraries=there | {"pillow": "1.2.3"})

    with pytest.raises(InputError) as caught:
        check_golden(copy, networks=False)
    assert f"pillow 1.2.3, here {there['pillow']}. " in str(caught.value)
    assert "make golden" in str(caught.value)


def test_a_number_that_was_not_taken_stops(copy: Path) -> None:
    numbers = json.loads((copy / NUMBERS).read_text("utf-8"))["numbers"]
    del numbers["contrast"]
    _changed(copy, numbers=numbers)

    with pytest.raises(InputError, match=r"contrast is .*, and was not taken"):
        check_golden(copy, networks=False)


def test_a_damaged_clip_or_file_of_numbers_is_told(copy: Path) -> None:
    (copy / "clip.mp4").write_bytes((copy / "clip.mp4").read_bytes()[:400])
    with pytest.raises(InputError, match=r"golden clip: .*clip\.mp4"):
        check_golden(copy, networks=False)

    (copy / NUMBERS).write_text("{", "utf-8")
    with pytest.raises(InputError, match="Install the project anew"):
        check_golden(copy, networks=True)


def test_measuring_twice_gives_the_same() -> None:
    prompt = read_golden(FOLDER).prompt

    assert dict(measured(FOLDER, prompt, networks=True)) == dict(
        measured(FOLDER, prompt, networks=True)
    )


class _StoppedError(Exception):
    pass


def _stop(*_args: object, **_options: object) -> None:
    raise _StoppedError


def test_a_run_is_stopped_before_it_writes_anything(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("poc.golden.check_golden", _stop)
    spec = Path(run.__file__).parent / "specs" / "tiny.yaml"

    with pytest.raises(_StoppedError):
        run.run(
            spec,
            tmp_path / "run",
            workers=1,
            device="cpu",
            until=None,
            progress=lambda *_: None,
            warn=lambda _: None,
        )
    assert not (tmp_path / "run").exists()


def test_a_measured_folder_is_stopped_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("poc.measure_folder.check_golden", _stop)
    shutil.copy(FOLDER / "clip.webm", tmp_path)

    with pytest.raises(_StoppedError):
        measure_folder(FolderJob(folder=tmp_path), progress=lambda *_: None)
