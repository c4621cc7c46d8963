"""Frechet distance and polynomial MMD between two sets of features, in float64.

Features are (n, d), one row a clip. No matrix square root is taken anywhere: the trace term of
the Frechet distance is a nuclear norm, which a singular value decomposition gives exactly, also
for fewer clips than dimensions, and which cannot turn complex or negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.linalg

from metrics.base import AnyFloats, FloatArray

_BLOCK_ROWS = 1024
"""Rows of a kernel matrix held at once: memory stays bounded and sums keep one order."""
_ASYMMETRY = 1e-8
_NEGATIVE = 1e-8
"""Relative to the largest entry or eigenvalue: rounding of a stored covariance, no more."""


@dataclass(frozen=True, slots=True)
class SampleSize:
    """How much a set of features can carry.

    >>> SampleSize(n=64, dimension=400).rank_deficient
    True
    """

    n: int
    dimension: int

    @property
    def rank_deficient(self) -> bool:
        """True when n clips cannot span the covariance of `dimension` features."""
        return self.n <= self.dimension


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Mean (d,) and covariance (d, d) of n clips, with ddof 1; equal where all numbers are."""

    mu: FloatArray
    sigma: FloatArray
    n: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Moments) and self._content() == other._content()

    def __hash__(self) -> int:
        return hash(self._content())

    def _content(self) -> tuple[bytes, bytes, int]:
        return self.mu.tobytes(), self.sigma.tobytes(), self.n

    @classmethod
    def stated(cls, mu: AnyFloats, sigma: AnyFloats, *, n: int, ddof: int) -> Moments:
        """Moments that somebody stored, with the ddof (0 or 1) of their covariance.

        Raises:
            ValueError: n below 2, another ddof, shapes that do not fit, or not finite.

        >>> Moments.stated(np.zeros(1), np.array([[3.0]]), n=4, ddof=0).sigma
        array([[4.]])
        """
        mean, covariance = np.asarray(mu, np.float64), np.asarray(sigma, np.float64)
        if n < 2 or ddof not in {0, 1}:
            raise ValueError(f"moments need n >= 2 and a ddof of 0 or 1, got n={n}, ddof={ddof}")
        if mean.ndim != 1 or covariance.shape != (len(mean),) * 2:
            raise ValueError(f"mu (d,) and sigma (d, d), got {mean.shape} and {covariance.shape}")
        if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
            raise ValueError("mu and sigma must be finite")
        return cls(mean, covariance * ((n - ddof) / (n - 1)), n)

    @property
    def size(self) -> SampleSize:
        """n and d."""
        return SampleSize(self.n, len(self.mu))


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """The Frechet distance that perfect clips would score at this n, by simulation.

    `mean` and `sd` are over `draws` simulated arms. The simulation is Gaussian; real features
    have heavier tails, so the true floor lies somewhat higher.
    """

    mean: float
    sd: float
    n: int
    reference_n: int | None
    draws: int
    seed: int


def sample_size(features: AnyFloats) -> SampleSize:
    """n and d of features (n, d)."""
    n, dimension = check_features(features, "features").shape
    return SampleSize(n, dimension)


def moments(features: AnyFloats) -> Moments:
    """Mean and covariance (ddof 1) of features (n >= 2, d)."""
    rows = check_features(features, "features")
    mu, scaled = _centred(rows)
    return Moments(mu, scaled.T @ scaled, len(rows))


def frechet_distance(x: AnyFloats, y: AnyFloats) -> float:
    """Squared Frechet distance of Gaussians fitted to features x (n, d) and y (m, d).

    With A and B the centred features over sqrt(n - 1) and sqrt(m - 1), the distance is
    |mu_x - mu_y|^2 + |A|_F^2 + |B|_F^2 - 2 |A B^T|_*, where |.|_* sums singular values: the
    same number as with tr((S1 S2)^(1/2)), without forming a covariance or its root. Works for
    n <= d. Rounding can leave a value just below 0; it is returned as it is.

    Raises:
        ValueError: not (n >= 2, d), different d, or NaN.

    Source: Dowson and Landau 1982; Heusel et al. 2017.

    >>> frechet_distance(np.array([[0.0], [2.0]]), np.array([[1.0], [3.0]]))
    1.0
    """
    rows_x, rows_y = check_pair(x, y)
    mu_x, a = _centred(rows_x)
    mu_y, b = _centred(rows_y)
    return _assemble(mu_x, mu_y, _triangle(a), _triangle(b))


def frechet_distance_from_moments(
    mu1: AnyFloats, sigma1: AnyFloats, mu2: AnyFloats, sigma2: AnyFloats
) -> float:
    """Squared Frechet distance of two Gaussians given by mean (d,) and covariance (d, d).

    Each covariance is factored as S = L^T L, also a singular one; the trace term is the sum of
    the singular values of L1 L2^T.

    Raises:
        ValueError: shapes do not fit, or a sigma is no covariance (asymmetric, negative, NaN).
    """
    means = [np.asarray(mu, dtype=np.float64) for mu in (mu1, mu2)]
    factors = [_factor(sigma, f"sigma{i}") for i, sigma in enumerate((sigma1, sigma2), start=1)]
    shapes = {mean.shape for mean in means} | {factor.shape[1:] for factor in factors}
    if len(shapes) != 1 or not all(np.isfinite(mean).all() for mean in means):
        raise ValueError(f"means and covariances must be finite and of one d, got {shapes}")
    return _assemble(means[0], means[1], factors[0], factors[1])


@lru_cache(maxsize=8)  # some megabytes each: the arms of a run face one reference for each style
def noise_floor(
    reference: Moments, *, n: int, reference_n: int | None, draws: int, seed: int
) -> NoiseFloor:
    """Frechet distance of n Gaussian clips that follow the reference's own moments.

    `reference_n` None compares each simulated arm with the moments themselves; a number
    compares it with a simulated reference of that size, which is what a perfect arm faces
    when the reference is finite too. Seeded: the same input gives the same floor.
    """
    if n < 2 or draws < 2:
        raise ValueError(f"a noise floor needs n >= 2 and draws >= 2, got n={n}, draws={draws}")
    rng = np.random.default_rng(seed)
    factor = _factor(reference.sigma, "reference.sigma")
    values = np.array([_floor_draw(rng, factor, n, reference_n) for _ in range(draws)])
    return NoiseFloor(float(values.mean()), float(values.std(ddof=1)), n, reference_n, draws, seed)


def _floor_draw(
    rng: np.random.Generator, factor: FloatArray, n: int, reference_n: int | None
) -> float:
    dimension = len(factor)
    arm = rng.standard_normal((n, dimension)) @ factor
    if reference_n is not None:
        return frechet_distance(arm, rng.standard_normal((reference_n, dimension)) @ factor)
    mu, scaled = _centred(arm)
    return _assemble(mu, np.zeros_like(mu), _triangle(scaled), factor)


@dataclass(frozen=True, slots=True)
class MomentSums:
    """Mean and scatter of features that arrive in batches; memory does not grow with n.

    Batches and shards may be of any size; the result equals `moments` to rounding.
    Source: Chan, Golub and LeVeque 1983.
    """

    n: int
    mu: FloatArray
    scatter: FloatArray

    @classmethod
    def empty(cls, dimension: int) -> MomentSums:
        """No clips yet, for features of `dimension` columns."""
        return cls(0, np.zeros(dimension), np.zeros((dimension, dimension)))

    def including(self, features: AnyFloats) -> MomentSums:
        """These sums and features (n >= 1, d)."""
        rows = check_features(features, "features", minimum=1)
        mu = rows.mean(axis=0)
        return self.merged(MomentSums(len(rows), mu, (rows - mu).T @ (rows - mu)))

    def merged(self, other: MomentSums) -> MomentSums:
        """These sums and those of another shard."""
        if len(self.mu) != len(other.mu):
            raise ValueError(f"expected {len(self.mu)} features a clip, got {len(other.mu)}")
        total = max(self.n + other.n, 1)
        step = other.mu - self.mu
        scatter = self.scatter + other.scatter + np.outer(step, step) * (self.n * other.n / total)
        return MomentSums(self.n + other.n, self.mu + step * (other.n / total), scatter)

    def moments(self) -> Moments:
        """Moments of everything taken in so far; needs 2 clips."""
        if self.n < 2:
            raise ValueError(f"a covariance needs at least two clips, got {self.n}")
        return Moments(self.mu, self.scatter / (self.n - 1), self.n)


@dataclass(frozen=True, slots=True)
class PolynomialKernel:
    """k(x, y) = (gamma x.y + coef0)^degree; gamma None stands for 1 / d, as KID and KVD use it."""

    degree: int = 3
    gamma: float | None = None
    coef0: float = 1.0

    def __call__(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Kernel matrix (n, m) of rows x (n, d) and y (m, d)."""
        gamma = 1.0 / x.shape[1] if self.gamma is None else self.gamma
        return np.asarray((gamma * (x @ y.T) + self.coef0) ** self.degree, dtype=np.float64)

    def row_sums(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Row sums (n,) of the kernel matrix, without holding all of it."""
        blocks = [self(x[i : i + _BLOCK_ROWS], y).sum(1) for i in range(0, len(x), _BLOCK_ROWS)]
        return np.concatenate(blocks)

    def diagonal(self, x: FloatArray) -> FloatArray:
        """k(x_i, x_i) for every row, (n,)."""
        gamma = 1.0 / x.shape[1] if self.gamma is None else self.gamma
        squares = np.einsum("ij,ij->i", x, x)
        return np.asarray((gamma * squares + self.coef0) ** self.degree, dtype=np.float64)


def polynomial_mmd(
    x: AnyFloats,
    y: AnyFloats,
    degree: int = 3,
    gamma: float | None = None,
    coef0: float = 1.0,
    *,
    unbiased: bool = True,
) -> float:
    """Squared maximum mean discrepancy of features x (n, d) and y (m, d).

    Unbiased (the U-statistic): 0 on average when both sets follow one law, so it can be
    negative. `unbiased=False` gives the V-statistic, which counts each clip against itself.

    Raises:
        ValueError: not (n >= 2, d), different d, or NaN.

    Source: Gretton et al. 2012; Binkowski et al. 2018 for the cubic kernel.

    >>> polynomial_mmd(np.array([[1.0], [-1.0]]), np.array([[1.0], [-1.0]]))
    -8.0
    """
    rows_x, rows_y = check_pair(x, y)
    kernel = PolynomialKernel(degree, gamma, coef0)
    cross = kernel.row_sums(rows_x, rows_y).sum() / (len(rows_x) * len(rows_y))
    within = [_mean_within(kernel, rows, unbiased=unbiased) for rows in (rows_x, rows_y)]
    return float(within[0] + within[1] - 2.0 * cross)


def _mean_within(kernel: PolynomialKernel, rows: FloatArray, *, unbiased: bool) -> float:
    n, total = len(rows), float(kernel.row_sums(rows, rows).sum())
    if not unbiased:
        return total / n**2
    return (total - float(kernel.diagonal(rows).sum())) / (n * (n - 1))


def check_features(features: AnyFloats, name: str, *, minimum: int = 2) -> FloatArray:
    """Features (n >= minimum, d) in float64, finite, or an error that names the bad rows."""
    rows = np.asarray(features, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < minimum or rows.shape[1] == 0:
        raise ValueError(
            f"`{name}` must have shape (n >= {minimum}, d), one row a clip, got {rows.shape}"
        )
    if not np.isfinite(rows).all():
        bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))[:5].tolist()
        raise ValueError(f"`{name}` holds NaN or infinity in rows {bad}; leave invalid clips out")
    return rows


def check_pair(x: AnyFloats, y: AnyFloats) -> tuple[FloatArray, FloatArray]:
    """Both sets as `check_features` gives them, of one dimension."""
    first, second = check_features(x, "x"), check_features(y, "y")
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"both sets need features of one extractor, got {first.shape[1]} and "
            f"{second.shape[1]} dimensions"
        )
    return first, second


def _centred(rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    mu = rows.mean(axis=0)
    return mu, (rows - mu) / np.sqrt(len(rows) - 1)


def _triangle(scaled: FloatArray) -> FloatArray:
    """R of A = QR: at most d rows with R^T R = A^T A; the Q drops out of a nuclear norm."""
    if len(scaled) <= scaled.shape[1]:
        return scaled
    return np.asarray(np.linalg.qr(scaled, mode="r"))


def _factor(sigma: AnyFloats, name: str) -> FloatArray:
    """L (d, d) with L^T L = sigma: Cholesky's where that is sound, else from eigenvectors."""
    matrix = np.asarray(sigma, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.isfinite(matrix).all():
        raise ValueError(f"`{name}` must be a finite covariance (d, d), got {matrix.shape}")
    if np.abs(matrix - matrix.T).max(initial=0.0) > _ASYMMETRY * np.abs(matrix).max(initial=0.0):
        raise ValueError(f"`{name}` is not symmetric, so it is no covariance")
    # Below this a pivot or eigenvalue is rounding of 0; its root would be 1e-8 of the largest.
    noise = len(matrix) * np.finfo(np.float64).eps * np.diagonal(matrix).max(initial=0.0)
    upper, failed = scipy.linalg.lapack.dpotrf(matrix)
    if not failed and np.diagonal(upper).min() ** 2 > 100.0 * noise:
        return np.asarray(upper)
    return _singular_factor(matrix, noise, name)


def _singular_factor(matrix: FloatArray, noise: float, name: str) -> FloatArray:
    values, vectors = scipy.linalg.eigh(matrix, driver="evd")
    if values[0] < -_NEGATIVE * max(values[-1], 0.0) - np.finfo(np.float64).tiny:
        raise ValueError(f"`{name}` has eigenvalue {values[0]:.3g} below 0, so it is no covariance")
    return np.asarray(np.sqrt(np.where(values > noise, values, 0.0))[:, None] * vectors.T)


def _assemble(mu1: FloatArray, mu2: FloatArray, a: FloatArray, b: FloatArray) -> float:
    step = mu1 - mu2
    overlap = scipy.linalg.svdvals(a @ b.T).sum()
    return float(step @ step + np.sum(a * a) + np.sum(b * b) - 2.0 * overlap)
