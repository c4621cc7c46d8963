"""Moments of a reference set as a file: FVD against a set whose clips need not be kept.

An npz of plain arrays: `mu` (d,), `sigma` (d, d), `n`, `ddof`, and what they stand on. It is read
without pickles. Whoever compares with it must have used the same protocol and the same extractor,
which `StoredMoments.basis` checks.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.base import SetBasis
from metrics.frechet import Moments

_DDOF = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMoments:
    """Moments with the names of what they are of: see `metrics.base.SetBasis`."""

    moments: Moments
    reference: str
    protocol: str
    extractor: str
    extractor_digest: str

    def basis(self, *, n: int, protocol: str, extractor: str, extractor_digest: str) -> SetBasis:
        """Return what an FVD of n clips against these moments stands on.

        Raises:
            ValueError: the clips went through another protocol or extractor.
        """
        asked = {
            "protocol": protocol,
            "extractor": extractor,
            "extractor_digest": extractor_digest,
        }
        differs = [
            f"{name}: {value} against {getattr(self, name)} of the stored moments"
            for name, value in asked.items()
            if value != getattr(self, name)
        ]
        if differs:
            raise ValueError(f"not comparable with '{self.reference}': {'; '.join(differs)}")
        return SetBasis(
            n=n,
            reference_n=self.moments.n,
            dimension=self.moments.size.dimension,
            reference=self.reference,
            **asked,
        )


_NAMES = tuple(field.name for field in fields(StoredMoments) if field.name != "moments")


def save_moments(path: Path, stored: StoredMoments) -> None:
    """Write moments to an npz file."""
    moments = stored.moments
    arrays: dict[str, Any] = {name: np.array(getattr(stored, name)) for name in _NAMES}
    arrays |= {"mu": moments.mu, "sigma": moments.sigma, "n": moments.n, "ddof": _DDOF}
    with path.open("wb") as file:
        np.savez(file, **arrays)


def load_moments(path: Path) -> StoredMoments:
    """Read what `save_moments` wrote, or another's npz with the same names and a ddof of 0 or 1.

    Raises:
        ValueError: the file is none, lacks something, or its numbers are no moments.
    """
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return _stored({name: file[name] for name in file.files})
    except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: no readable moments ({error})") from error


def _stored(arrays: Mapping[str, NDArray[Any]]) -> StoredMoments:
    missing = {"mu", "sigma", "n", "ddof", *_NAMES} - set(arrays)
    if missing:
        raise ValueError(f"lacks {', '.join(sorted(missing))}")
    n, ddof = int(arrays["n"]), int(arrays["ddof"])
    moments = Moments.stated(arrays["mu"], arrays["sigma"], n=n, ddof=ddof)
    return StoredMoments(moments=moments, **{name: str(arrays[name]) for name in _NAMES})
