"""Sliced Wasserstein distance: the mean one-dimensional transport cost over random directions.

References
----------
Rabin et al. (2011), Wasserstein barycenter and its application to texture mixing; Bonneel et al.
(2015), Sliced and Radon Wasserstein barycenters of measures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bloomdiff.metrics.base import Score, metric
from bloomdiff.metrics.bootstrap import resampled_means
from bloomdiff.metrics.points import Doubles, as_pair

if TYPE_CHECKING:
    from bloomdiff.metrics.set_comparison import SetComparison

N_DIRECTIONS = 128


def sliced_wasserstein(
    real: npt.NDArray[Any], synthetic: npt.NDArray[Any], *, seed: int, n_directions: int = 128
) -> float:
    """Mean 1-Wasserstein distance of the projections on random unit directions.

    Parameters
    ----------
    real, synthetic
        Points `(n, d)` and `(m, d)`; the numbers may differ.
    seed
        Seed of the directions.
    n_directions
        How many; the value's error falls with their root.

    Raises
    ------
    InputError
        No points, or a value that is not finite.
    """
    X, Y = as_pair(real, synthetic)
    return _with_influences(X, Y, np.random.default_rng(seed), n_directions)[0]


def _with_influences(
    X: Doubles, Y: Doubles, rng: np.random.Generator, n_directions: int
) -> tuple[float, Doubles, Doubles]:
    """The distance, and the influence function at each point of both sets."""
    directions = rng.standard_normal((X.shape[1], n_directions))
    directions /= np.linalg.norm(directions, axis=0)
    of_x, of_y = np.zeros(len(X)), np.zeros(len(Y))
    value = 0.0
    for direction in directions.T:
        points = np.concatenate([X @ direction, Y @ direction])
        order = np.argsort(points, kind="stable")
        steps = np.diff(points[order])
        weight = np.where(order < len(X), 1 / len(X), -1 / len(Y))
        gap = weight.cumsum()[:-1]  # difference of the distribution functions on each step
        value += float(np.abs(gap) @ steps)
        # One more point at x lifts its distribution function everywhere to the right of x.
        signed = np.concatenate([[0.0], (np.sign(gap) * steps).cumsum()])
        reach = np.empty_like(points)
        reach[order] = -signed
        of_x += reach[: len(X)]
        of_y -= reach[len(X) :]
    return (
        value / n_directions,
        (of_x - of_x.mean()) / n_directions,
        (of_y - of_y.mean()) / n_directions,
    )


@metric("sliced_wasserstein", "Sliced Wasserstein distance", better="lower", family="fidelity")
def _sliced_wasserstein(comparison: SetComparison) -> Score:
    """The interval is that of the first-order expansion."""
    reference = comparison.reference
    value, of_real, of_synthetic = _with_influences(
        reference.test, comparison.synthetic, reference.rng(20), N_DIRECTIONS
    )
    draws = value + resampled_means(of_real, reference.test_counts)
    draws += resampled_means(of_synthetic, comparison.counts)
    return Score(value, np.maximum(0, draws))
