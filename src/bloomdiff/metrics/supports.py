"""α-precision and β-recall: how much of the synthetic mass lies in the core of the real one.

The variant is the plain one: supports are balls around the mean in the embedding itself, without
the one-class network of the paper, and the β-support is taken around the synthetic mean.

References
----------
Alaa et al. (2022), How faithful is your synthetic data? Sample-level metrics for evaluating and
auditing generative models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bloomdiff.metrics.base import Score, metric
from bloomdiff.metrics.neighbours import nearest
from bloomdiff.metrics.points import Doubles, as_pair

if TYPE_CHECKING:
    from bloomdiff.metrics.set_comparison import SetComparison

_LEVELS = np.linspace(0, 1, 101)


def _levels_of(points: Doubles, core: Doubles) -> Doubles:
    """The smallest support of `core` that holds each of `points`: its level, `(n,)`."""
    centre = core.mean(axis=0)
    radii = np.sort(np.linalg.norm(core - centre, axis=1))
    distances = np.linalg.norm(points - centre, axis=1)
    # Beyond the farthest point of the core no support holds it.
    levels = np.searchsorted(radii, distances, side="left") + 1.0
    return np.where(distances > radii[-1], np.inf, levels / len(radii))


def _integrated(curves: Doubles) -> Doubles:
    """1 - 2 ∫ |P(α) - α| dα of curves `(..., 101)`: 1 is best, 0 or below is worst."""
    gaps = np.abs(curves - _LEVELS)
    integrated: Doubles = 1 - 2 * np.trapezoid(gaps, _LEVELS, axis=-1)
    return integrated


def _below(levels: Doubles) -> npt.NDArray[np.float32]:
    """Whether each point lies in each support, float32 `(n, 101)`."""
    return (levels[:, None] <= _LEVELS + 1e-12).astype(np.float32)


def _recalled_levels(
    real: Doubles, synthetic: Doubles, real_spacing: Doubles, to_synthetic: tuple[Any, Any]
) -> Doubles:
    """Level of the β-support at which each real point is recalled; infinite where never."""
    distance, index = to_synthetic
    levels = _levels_of(synthetic, synthetic)[index]
    return np.where(distance <= real_spacing, levels, np.inf)


def alpha_precision(real: npt.NDArray[Any], synthetic: npt.NDArray[Any]) -> float:
    """Integrated α-precision, up to 1: the share of synthetic points in each α-support is α.

    Parameters
    ----------
    real, synthetic
        Points `(n, d)` and `(m, d)`.
    """
    X, Y = as_pair(real, synthetic, minimum=2)
    return float(_integrated(_below(_levels_of(Y, X)).mean(axis=0, dtype=np.float64)))


def beta_recall(real: npt.NDArray[Any], synthetic: npt.NDArray[Any]) -> float:
    """Integrated β-recall, up to 1.

    A real point is recalled at β when its nearest synthetic point is no farther than its nearest
    other real point and lies in the synthetic β-support.

    Parameters
    ----------
    real, synthetic
        Points `(n, d)` and `(m, d)`.
    """
    X, Y = as_pair(real, synthetic, minimum=2)
    spacing = nearest(X, X, same=True)[0][:, 0]
    distance, index = nearest(X, Y)
    levels = _recalled_levels(X, Y, spacing, (distance[:, 0], index[:, 0]))
    return float(_integrated(_below(levels).mean(axis=0, dtype=np.float64)))


def _score(levels: Doubles, counts: npt.NDArray[np.float32]) -> Score:
    below = _below(levels)
    shares = (counts.T @ below).astype(np.float64)
    with np.errstate(invalid="ignore"):
        shares /= counts.sum(axis=0, dtype=np.float64)[:, None]
    draws = _integrated(shares)
    return Score(float(_integrated(below.mean(axis=0, dtype=np.float64))), draws)


@metric("alpha_precision", "α-precision (plain)", better="higher", family="fidelity", minimum=20)
def _alpha_precision(comparison: SetComparison) -> Score:
    levels = _levels_of(comparison.synthetic, comparison.reference.test)
    return _score(levels, comparison.counts)


@metric("beta_recall", "β-recall (plain)", better="higher", family="coverage", minimum=20)
def _beta_recall(comparison: SetComparison) -> Score:
    reference = comparison.reference
    levels = _recalled_levels(
        reference.test, comparison.synthetic, reference.test_spacing, comparison.from_test
    )
    return _score(levels, reference.test_counts)
