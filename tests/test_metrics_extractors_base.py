"""Features are unit vectors where they must be, and weights are what was pinned."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from metrics.extractors.base import (
    WeightsError,
    check_unit_rows,
    file_digest,
    folder_digest,
    verify_digest,
)


def test_half_precision_rows_become_exact_unit_rows() -> None:
    rows = np.random.default_rng(0).normal(size=(5, 64))
    halves = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)

    np.testing.assert_allclose(
        np.linalg.norm(check_unit_rows(halves, "x"), axis=1), 1.0, rtol=1e-14
    )


@pytest.mark.parametrize("length", [0.0, 0.9, 10.0, np.nan])
def test_rows_of_another_length_are_refused(length: float) -> None:
    with pytest.raises(ValueError, match="rows of length 1"):
        check_unit_rows(np.array([[1.0, 0.0], [length, 0.0]]), "x")


@pytest.mark.parametrize("shape", [(0, 3), (3,), (2, 0)])
def test_features_have_rows_and_columns(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="n >= 1"):
        check_unit_rows(np.zeros(shape), "x")


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()

    assert file_digest(path) == digest
    verify_digest(path, digest.upper())
    verify_digest(path, None)


def test_another_digest_is_refused_with_both_named(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"weights")

    with pytest.raises(WeightsError, match=r"expected sha256 ab, got [0-9a-f]{64}"):
        verify_digest(path, "ab")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(WeightsError, match=r"nowhere\.safetensors: cannot be read"):
        verify_digest(Path("nowhere.safetensors"), "ab")


def test_the_digest_of_files_knows_names_and_contents_but_not_their_folder(tmp_path: Path) -> None:
    for folder, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x").write_bytes(content)
        (tmp_path / folder / "y").write_bytes(b"y")

    def digest(folder: str, names: str) -> str:
        return folder_digest([tmp_path / folder / name for name in names])

    assert digest("a", "xy") == digest("b", "yx")
    assert len({digest("a", "xy"), digest("c", "xy"), digest("a", "x")}) == 3
