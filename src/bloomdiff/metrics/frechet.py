"""Fréchet distance between two point sets, in float64, with any number of points from two up.

References
----------
Heusel et al. (2017), GANs trained by a two time-scale update rule (FID); Dowson and Landau (1982),
The Fréchet distance between multivariate normal distributions; Efron (1982), The jackknife, the
bootstrap and other resampling plans (the infinitesimal jackknife).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bloomdiff.metrics.base import Score, metric
from bloomdiff.metrics.bootstrap import resampled_means
from bloomdiff.metrics.points import Doubles, as_pair

if TYPE_CHECKING:
    from bloomdiff.metrics.set_comparison import SetComparison


@dataclass(frozen=True)
class Moments:
    """Mean and covariance of a point set, the latter by its eigenvectors.

    Attributes
    ----------
    mean
        `(d,)`.
    centred
        The points less their mean `(n, d)`.
    axes, deviation
        Eigenvectors `(d, r)` and square roots of the eigenvalues `(r,)` of the covariance (with
        n - 1), without those that are zero up to rounding.
    """

    mean: Doubles
    centred: Doubles
    axes: Doubles
    deviation: Doubles

    @classmethod
    def of(cls, X: Doubles) -> Moments:
        """Moments of `X` `(n, d)`, n at least 2."""
        mean = X.mean(axis=0)
        centred = X - mean
        variance, axes = np.linalg.eigh(centred.T @ centred / (len(X) - 1))
        # Eigenvalues carry an absolute error of about eps times the largest; with n <= d most
        # are zero and would otherwise contribute the root of that error each.
        kept = variance > variance.max(initial=0.0) * len(variance) * np.finfo(np.float64).eps
        return cls(mean, centred, axes[:, kept], np.sqrt(variance[kept]))

    @property
    def total_variance(self) -> float:
        """Trace of the covariance."""
        return float((self.centred**2).sum() / (len(self.centred) - 1))


def frechet_between(a: Moments, b: Moments) -> float:
    """|μ₁ - μ₂|² + tr(Σ₁ + Σ₂ - 2 (Σ₁^½ Σ₂ Σ₁^½)^½), at least 0.

    The last trace is the sum of the singular values of Σ₁^½ Σ₂^½, which needs no square root of
    a product that may be singular.
    """
    cross = (a.deviation[:, None] * (a.axes.T @ b.axes)) * b.deviation
    overlap = float(np.linalg.svd(cross, compute_uv=False).sum()) if cross.size else 0.0
    gap = float(((a.mean - b.mean) ** 2).sum())
    return max(0.0, gap + a.total_variance + b.total_variance - 2 * overlap)


def frechet_influences(a: Moments, b: Moments) -> tuple[float, Doubles, Doubles]:
    """The distance, and how much each point pulls on it.

    Returns
    -------
    value
        The Fréchet distance.
    of_a, of_b
        Influence functions at the points, `(n,)` and `(m,)`, each of mean about zero: the
        distance under bootstrap weights w/n is the value plus the weighted means, to first order.
    """
    cross = (a.deviation[:, None] * (a.axes.T @ b.axes)) * b.deviation
    left, singular, right = np.linalg.svd(cross, full_matrices=False)
    gap = a.mean - b.mean
    overlap = float(singular.sum())
    value = float(gap @ gap) + a.total_variance + b.total_variance - 2 * overlap

    def pull(points: Moments, gap: Doubles, basis: Doubles) -> Doubles:
        white = points.centred @ (points.axes / points.deviation)
        transported = ((white @ (basis * np.sqrt(singular))) ** 2).sum(axis=1)
        spread = (points.centred**2).sum(axis=1)
        influence: Doubles = 2 * points.centred @ gap + spread - transported
        return influence - influence.mean()

    return max(0.0, value), pull(a, gap, left), pull(b, -gap, right.T)


def frechet_distance(real: npt.NDArray[Any], synthetic: npt.NDArray[Any]) -> float:
    """Fréchet distance between the Gaussians of two point sets; 0 is best.

    With n points in d dimensions it is biased upwards by about d²/n times the typical variance:
    compare it only at equal sample sizes, and with the real-versus-real floor.

    Parameters
    ----------
    real, synthetic
        Points `(n, d)` and `(m, d)`, at least two each.

    Raises
    ------
    InputError
        Fewer than two points, or a value that is not finite.
    """
    X, Y = as_pair(real, synthetic, minimum=2)
    return frechet_between(Moments.of(X), Moments.of(Y))


@metric(
    "frechet_distance",
    "Fréchet distance",
    better="lower",
    family="fidelity",
    full_rank=True,
)
def frechet_score(comparison: SetComparison) -> Score:
    """The distance with the interval of its first-order expansion.

    Covariances of resamples have lower rank and the distance a larger bias; the expansion keeps
    the estimate in the middle.
    """
    value, of_real, of_synthetic = frechet_influences(
        comparison.reference.test_moments, Moments.of(comparison.synthetic)
    )
    draws = value + resampled_means(of_real, comparison.reference.test_counts)
    draws = np.maximum(0, draws + resampled_means(of_synthetic, comparison.counts))
    short = min(len(of_real), len(of_synthetic)) <= comparison.dim
    note = "no more rows than dimensions: biased upwards, read it beside the floor" if short else ""
    return Score(value, draws, note)


_FRACTIONS = 1 / np.linspace(1, 2, 6)


def frechet_infinity(
    real: npt.NDArray[Any], synthetic: npt.NDArray[Any], *, seed: int, n_repeats: int = 3
) -> float:
    """Fréchet distance extrapolated to infinitely many points of both sets.

    The bias is linear in 1/n: distances at several equal fractions of both sets are fitted by a
    line in 1/fraction, whose value at 0 is returned. It may fall below 0 by chance.

    Parameters
    ----------
    real, synthetic
        Points `(n, d)` and `(m, d)`, at least 2 (d + 1) each: below d + 1 points the bias is not
        linear.
    seed
        Seed of the subsets.
    n_repeats
        Subsets per fraction.

    Raises
    ------
    InputError
        Too few points, or a value that is not finite.

    References
    ----------
    Chong and Forsyth (2020), Effectively unbiased FID and inception score and where to find them.
    """
    needed = 2 * (np.shape(real)[-1] + 1)
    X, Y = as_pair(real, synthetic, minimum=needed)
    rng = np.random.default_rng(seed)
    inverse, values = [], []
    for fraction in _FRACTIONS:
        for _ in range(n_repeats if fraction < 1 else 1):
            parts = [P[rng.permutation(len(P))[: round(fraction * len(P))]] for P in (X, Y)]
            inverse.append(1 / fraction)
            values.append(frechet_between(Moments.of(parts[0]), Moments.of(parts[1])))
    return float(np.polyfit(inverse, values, 1)[1])


@metric(
    "frechet_infinity",
    "Fréchet distance, extrapolated",
    better="lower",
    family="fidelity",
    full_rank=True,
)
def _frechet_infinity(comparison: SetComparison) -> Score:
    """The interval has the width of the Fréchet distance's; the line's own error is left out."""
    reference, needed = comparison.reference, 2 * (comparison.dim + 1)
    for side, points in (("held-out", reference.test), ("synthetic", comparison.synthetic)):
        if len(points) < needed:
            note = f"too few: needs {needed} {side} rows, has {len(points)}"
            return Score(float("nan"), note=note)
    value = frechet_infinity(reference.test, comparison.synthetic, seed=reference.seed)
    plain = frechet_score(comparison)
    return Score(value, plain.draws - plain.value + value)
