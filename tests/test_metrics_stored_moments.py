"""Stored moments give the FVD of the clips they are of, or say why they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metrics.base import FloatArray
from metrics.frechet import frechet_distance, moments
from metrics.fvd import fvd_from_moments
from metrics.stored_moments import StoredMoments, load_moments, save_moments

NAMES = {"protocol": "frames-1", "extractor": "i3d", "extractor_digest": "00"}


def _features(n: int, seed: int) -> FloatArray:
    return np.asarray(np.random.default_rng(seed).normal(size=(n, 4)) * np.arange(1, 5))


def _saved(path: Path, **changed: Any) -> Path:
    x = _features(50, 0)
    content: dict[str, Any] = {"mu": x.mean(0), "sigma": np.cov(x, rowvar=False), "n": 50}
    content |= {"ddof": 1, "reference": "real@11", **NAMES, **changed}
    with path.open("wb") as file:
        np.savez(file, **{name: value for name, value in content.items() if value is not None})
    return path


def test_what_is_saved_gives_the_distance_of_the_features(tmp_path: Path) -> None:
    reference, arm = _features(50, 0), _features(30, 1)
    save_moments(
        tmp_path / "m.npz",
        StoredMoments(moments=moments(reference), reference="real@11", **NAMES),
    )

    stored = load_moments(tmp_path / "m.npz")
    basis = stored.basis(n=30, **NAMES)
    found = fvd_from_moments(moments(arm), stored.moments, basis=basis, draws=2, seed=0)

    assert found.value == pytest.approx(frechet_distance(arm, reference), rel=1e-10)
    assert (found.basis.reference, found.basis.reference_n) == ("real@11", 50)


def test_moments_that_another_stored_with_ddof_0_are_brought_to_1(tmp_path: Path) -> None:
    x = _features(50, 0)
    sigma = np.cov(x, rowvar=False, ddof=0)

    stored = load_moments(_saved(tmp_path / "m.npz", sigma=sigma, ddof=0))

    np.testing.assert_allclose(stored.moments.sigma, np.cov(x, rowvar=False), rtol=1e-12)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_clips_of_another_protocol_or_extractor_are_not_compared(tmp_path: Path, name: str) -> None:
    stored = load_moments(_saved(tmp_path / "m.npz"))

    with pytest.raises(ValueError, match=f"{name}: other against"):
        stored.basis(n=30, **{**NAMES, name: "other"})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"n": None}, "lacks n"),
        ({"ddof": None}, "lacks ddof"),
        ({"ddof": 2}, "ddof of 0 or 1"),
        ({"sigma": np.eye(3)}, "sigma"),
        ({"mu": np.full(4, np.nan)}, "finite"),
        ({"reference": np.array([object()])}, "no readable moments"),
    ],
)
def test_what_is_no_moments_is_refused_with_its_path(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=rf"m\.npz: .*{said}"):
        load_moments(_saved(tmp_path / "m.npz", **changed))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text"])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.npz").write_bytes(content)

    with pytest.raises(ValueError, match=r"m\.npz: no readable moments"):
        load_moments(tmp_path / "m.npz")
