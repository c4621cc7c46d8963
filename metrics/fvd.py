"""FVD of an arm against a named reference, never without n and its noise floor.

The distance is `metrics.frechet`; here it becomes a result that says what it stands on. KVD,
which decisions use, is in `metrics.kvd`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrics.base import AnyFloats, SetBasis
from metrics.frechet import (
    Moments,
    MomentSums,
    NoiseFloor,
    frechet_distance,
    frechet_distance_from_moments,
    moments,
    noise_floor,
)


@dataclass(frozen=True, slots=True)
class FvdResult:
    """An arm's FVD. It may enter a criterion only where `basis.rank_deficient` is False."""

    value: float
    basis: SetBasis
    floor: NoiseFloor

    @property
    def ratio(self) -> float | None:
        """FVD over its noise floor: about 1 for an arm that cannot be told from the reference.

        None where the reference does not vary, so that there is no floor.
        """
        return self.value / self.floor.mean if self.floor.mean > 0.0 else None


def fvd(
    video_features: AnyFloats,
    reference_features: AnyFloats,
    *,
    basis: SetBasis,
    draws: int,
    seed: int,
) -> FvdResult:
    """FVD of an arm's features (n, d) against reference features (m, d).

    The noise floor simulates arms of n clips and references of m clips, both drawn from a
    Gaussian with the reference's own moments (`metrics.frechet.noise_floor`).

    Raises:
        ValueError: fewer than 2 clips on a side, NaN, or features that do not fit `basis`.
    """
    basis.check(video_features, reference_features)
    floor = noise_floor(
        moments(reference_features),
        n=basis.n,
        reference_n=basis.reference_n,
        draws=draws,
        seed=seed,
    )
    return FvdResult(frechet_distance(video_features, reference_features), basis, floor)


class StreamedFvd:
    """FVD against stored moments, for sets too large to hold: update with batches, compute.

    Fits `metrics.base.SetMetric`. Equals `frechet_distance` of all features to rounding.
    """

    def __init__(self, reference: Moments) -> None:
        """Start empty, against the moments of a reference."""
        self._reference = reference
        self._sums = MomentSums.empty(reference.size.dimension)

    def update(self, features: AnyFloats) -> None:
        """Take in features (n, d) in batches of any size."""
        self._sums = self._sums.including(features)

    def compute(self) -> float:
        """The distance of all that was taken in; needs 2 clips."""
        arm, reference = self._sums.moments(), self._reference
        return frechet_distance_from_moments(arm.mu, arm.sigma, reference.mu, reference.sigma)


class HeldFeatures:
    """The features of a set, held in the order they came, for metrics that need every pair.

    Fits `metrics.base.SetMetric`; `compute` gives (n, d) float64.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._batches: list[AnyFloats] = []

    def update(self, features: AnyFloats) -> None:
        """Take in features (n, d)."""
        self._batches.append(np.asarray(features, dtype=np.float64))

    def compute(self) -> AnyFloats:
        """All rows, in order."""
        if not self._batches:
            raise ValueError("no features were taken in yet")
        return np.concatenate(self._batches)
