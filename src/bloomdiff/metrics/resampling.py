"""Scores of fitted classifiers under resampled test cells, whole slides at a time.

Percentiles of a handful of slides lie too near each other, by the factor between a normal and a t
distribution and by that between the two estimates of a variance. Both are taken back, as in
Hesterberg's expanded percentile interval; below `MIN_GROUPS` slides there is no interval.

References
----------
Efron and Tibshirani (1993), An introduction to the bootstrap; Hesterberg (2015), What teachers
should know about the bootstrap, section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from bloomdiff.metrics.bootstrap import MIN_GROUPS

Doubles = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


def paired_bootstrap(
    y_true: Indices,
    pred_a: Indices,
    pred_b: Indices,
    score: Callable[[Indices, Indices], float],
    *,
    seed: int,
    groups: npt.NDArray[np.str_] | None = None,
    n_bootstrap: int = 1000,
    confidence: float = 0.95,
) -> dict[str, float]:
    """Difference of a score between two classifiers on the same test cells.

    Parameters
    ----------
    y_true, pred_a, pred_b
        Class indices `(n,)`.
    score
        Maps `(y_true, y_pred)` to a number, larger is better.
    seed
        Seed of the resampling.
    groups
        Group of each cell `(n,)`; whole groups are resampled, since cells of one slide go
        together. None resamples cells.
    n_bootstrap, confidence
        Replicates, and coverage of the interval.

    Returns
    -------
    dict
        `difference` (a minus b), `low`, `high`, and `p_value`: where zero lies among such
        intervals of every coverage, two-sided. All but the difference are NaN below `MIN_GROUPS`
        groups.
    """
    draws = np.array(
        [
            score(y_true[rows], pred_a[rows]) - score(y_true[rows], pred_b[rows])
            for rows in _resampled_rows(len(y_true), groups, n_bootstrap, seed)
        ]
    )
    n = _n_units(len(y_true), groups)
    low, high = _interval(draws, n, confidence)
    return {
        "difference": score(y_true, pred_a) - score(y_true, pred_b),
        "low": low,
        "high": high,
        "p_value": _p_value(draws, n),
    }


def bootstrap_interval(
    y_true: Indices,
    pred: Indices,
    score: Callable[[Indices, Indices], float],
    *,
    seed: int,
    groups: npt.NDArray[np.str_] | None = None,
    n_bootstrap: int = 1000,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Interval of one classifier's score; parameters as in `paired_bootstrap`."""
    draws = np.array(
        [
            score(y_true[rows], pred[rows])
            for rows in _resampled_rows(len(y_true), groups, n_bootstrap, seed)
        ]
    )
    return _interval(draws, _n_units(len(y_true), groups), confidence)


def _n_units(n: int, groups: npt.NDArray[np.str_] | None) -> int:
    return n if groups is None else len(np.unique(groups))


def _interval(draws: Doubles, n_units: int, confidence: float) -> tuple[float, float]:
    from scipy.special import ndtr, stdtrit

    if n_units < MIN_GROUPS:
        return float("nan"), float("nan")
    reach = stdtrit(n_units - 1, (1 - confidence) / 2) * np.sqrt(n_units / (n_units - 1))
    tail = float(ndtr(reach))
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def _p_value(draws: Doubles, n_units: int) -> float:
    from scipy.special import ndtri, stdtr

    if n_units < MIN_GROUPS:
        return float("nan")
    side = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    reach = ndtri((side + 1) / (len(draws) + 1)) * np.sqrt((n_units - 1) / n_units)
    return min(1.0, 2 * float(stdtr(n_units - 1, reach)))


def _resampled_rows(
    n: int, groups: npt.NDArray[np.str_] | None, n_bootstrap: int, seed: int
) -> Iterator[Indices]:
    """Row numbers of each replicate: as many groups as there are, drawn with replacement."""
    rng = np.random.default_rng(seed)
    units = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    order, sizes = np.argsort(units, kind="stable"), np.bincount(units)
    starts = np.cumsum(sizes) - sizes
    for _ in range(n_bootstrap):
        chosen = rng.integers(len(sizes), size=len(sizes))
        ends = np.cumsum(sizes[chosen])
        # The rows of each drawn unit: its start in `order`, and as many steps as it has rows.
        steps = np.arange(ends[-1]) - np.repeat(ends - sizes[chosen], sizes[chosen])
        yield order[np.repeat(starts[chosen], sizes[chosen]) + steps]
