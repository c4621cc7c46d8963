"""Weights without a published digest are pinned at first use and compared ever after."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from metrics.extractors.base import WeightsError
from metrics.extractors.pins import pin


def _files(folder: Path) -> list[Path]:
    folder.mkdir(exist_ok=True)
    files = [folder / "config.json", folder / "model.safetensors"]
    for path in files:
        path.write_bytes(path.name.encode())
    return files


def test_the_first_use_writes_what_hashlib_says_and_the_next_compares(tmp_path: Path) -> None:
    files, lock = _files(tmp_path / "w"), tmp_path / "lock.json"

    assert pin(lock, "i3d", files)
    assert not pin(lock, "i3d", files)

    expected = hashlib.sha256(b"config.json").hexdigest()
    assert json.loads(lock.read_text())["i3d"]["config.json"] == expected


def test_a_second_entry_leaves_the_first(tmp_path: Path) -> None:
    files, lock = _files(tmp_path / "w"), tmp_path / "lock.json"
    pin(lock, "i3d", files)

    assert pin(lock, "videomae", files)
    assert set(json.loads(lock.read_text())) == {"i3d", "videomae"}


@pytest.mark.parametrize("place", [0, 1])
def test_a_changed_file_is_refused_and_named(tmp_path: Path, place: int) -> None:
    files, lock = _files(tmp_path / "w"), tmp_path / "lock.json"
    pin(lock, "i3d", files)
    before = lock.read_bytes()
    files[place].write_bytes(b"other")

    with pytest.raises(WeightsError, match=rf"{files[place].name}: expected sha256"):
        pin(lock, "i3d", files)
    assert lock.read_bytes() == before


def test_a_file_more_or_less_is_refused(tmp_path: Path) -> None:
    files, lock = _files(tmp_path / "w"), tmp_path / "lock.json"
    pin(lock, "i3d", files)

    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        pin(lock, "i3d", files[:1])


@pytest.mark.parametrize("content", ["", "[]", '{"i3d": {"model.safetensors": 1}}'])
def test_a_lock_that_is_none_is_refused_and_left_alone(tmp_path: Path, content: str) -> None:
    files, lock = _files(tmp_path / "w"), tmp_path / "lock.json"
    lock.write_text(content)

    with pytest.raises(WeightsError, match=r"lock\.json"):
        pin(lock, "i3d", files)
    assert lock.read_text() == content
