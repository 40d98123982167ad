"""Does the generator repeat its training rows? Nearest neighbours in training and held-out rows.

References
----------
Alaa et al. (2022), How faithful is your synthetic data? (authenticity); Stein et al. (2023),
Exposing flaws of generative model evaluation metrics (AuthPct).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bloomdiff.metrics.base import Score, metric
from bloomdiff.metrics.bootstrap import resampled_means, resampled_medians
from bloomdiff.metrics.neighbours import nearest
from bloomdiff.metrics.points import Doubles, as_pair, as_points, same_dimension

if TYPE_CHECKING:
    from bloomdiff.metrics.set_comparison import SetComparison

NEAR_DUPLICATE = 0.01  # of the median distance between neighbouring training rows


def distance_ratios(to_train: Doubles, to_held_out: Doubles) -> Doubles:
    """Distance to the nearest training row over that to the nearest held-out row, `(n,)`.

    A point at distance zero from both has ratio 1; from the held-out one alone, infinity.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios: Doubles = to_train / to_held_out
    return np.where((to_train == 0) & (to_held_out == 0), 1.0, ratios)


def neighbour_ratio(
    synthetic: npt.NDArray[Any], train: npt.NDArray[Any], held_out: npt.NDArray[Any]
) -> float:
    """Median over synthetic points of their distance to training over that to held-out rows.

    0 for copies. Without memorisation it is what held-out rows score against the training rows
    and one another: about 1 for equally many of both, less the more training rows there are.

    Parameters
    ----------
    synthetic, train, held_out
        Points `(n, d)`, `(m, d)`, `(t, d)`.
    """
    train, synthetic = as_pair(train, synthetic)
    held_out = as_points(held_out, "held-out")
    same_dimension(held_out, train, "held-out")
    to_train = nearest(synthetic, train)[0][:, 0]
    to_held_out = nearest(synthetic, held_out)[0][:, 0]
    return float(np.median(distance_ratios(to_train, to_held_out)))


def authentic_rows(
    to_train: Doubles, nearest_train: npt.NDArray[np.intp], train_spacing: Doubles
) -> npt.NDArray[np.bool_]:
    """Whether each synthetic point keeps its distance from its nearest training row, `(n,)`.

    It does when it is farther from it than that row is from its own nearest training row.
    """
    authentic: npt.NDArray[np.bool_] = to_train > train_spacing[nearest_train]
    return authentic


def authenticity(synthetic: npt.NDArray[Any], train: npt.NDArray[Any]) -> float:
    """Share of synthetic points that are no copies in the sense of AuthPct, 0 to 1.

    Parameters
    ----------
    synthetic, train
        Points `(n, d)` and `(m, d)`, at least two training rows.
    """
    train, synthetic = as_pair(as_points(train, "training", minimum=2), synthetic)
    spacing = nearest(train, train, same=True)[0][:, 0]
    distance, index = nearest(synthetic, train)
    return float(authentic_rows(distance[:, 0], index[:, 0], spacing).mean())


def duplicate_rate(synthetic: npt.NDArray[Any], train: npt.NDArray[Any]) -> float:
    """Share of synthetic points that equal a training row up to 1 % of the training spacing.

    Parameters
    ----------
    synthetic, train
        Points `(n, d)` and `(m, d)`, at least two training rows.
    """
    train, synthetic = as_pair(as_points(train, "training", minimum=2), synthetic)
    spacing = nearest(train, train, same=True)[0][:, 0]
    distance = nearest(synthetic, train)[0][:, 0]
    return float((distance <= NEAR_DUPLICATE * np.median(spacing)).mean())


@metric(
    "neighbour_ratio",
    "Nearest-neighbour distance, training over held-out",
    better="higher",
    family="memorisation",
)
def _neighbour_ratio(comparison: SetComparison) -> Score:
    ratios = distance_ratios(comparison.to_train[0], comparison.to_test[0][:, 0])
    value = float(np.median(ratios))
    if np.isinf(value):
        return Score(float("nan"), note="most synthetic rows are held-out rows")
    return Score(value, resampled_medians(ratios, comparison.counts))


@metric("authenticity", "Authenticity (AuthPct)", better="higher", family="memorisation")
def _authenticity(comparison: SetComparison) -> Score:
    distance, index = comparison.to_train
    authentic = authentic_rows(distance, index, comparison.reference.train_spacing)
    return Score(float(authentic.mean()), resampled_means(authentic, comparison.counts))


@metric("duplicate_rate", "Copies of training rows", better="lower", family="memorisation")
def _duplicate_rate(comparison: SetComparison) -> Score:
    limit = NEAR_DUPLICATE * np.median(comparison.reference.train_spacing)
    copies = comparison.to_train[0] <= limit
    return Score(float(copies.mean()), resampled_means(copies, comparison.counts))


@metric(
    "distance_to_closest",
    "Median distance to the closest training row (DCR)",
    better="higher",
    family="memorisation",
    checks={},
)
def _distance_to_closest(comparison: SetComparison) -> Score:
    """For description only: it grows with every fault of a generator, memorising or not."""
    distance = comparison.to_train[0]
    draws = resampled_medians(distance, comparison.counts)
    return Score(float(np.median(distance)), draws, "for description only")
