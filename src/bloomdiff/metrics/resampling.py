"""Scores of fitted classifiers under resampled test cells, whole slides at a time.

References
----------
Efron and Tibshirani (1993), An introduction to the bootstrap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

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
        Replicates, and coverage of the percentile interval.

    Returns
    -------
    dict
        `difference` (a minus b), `low`, `high`, and `p_value`: twice the smaller share of
        replicates on either side of zero, never below 2 / (n_bootstrap + 1).
    """
    draws = np.array(
        [
            score(y_true[rows], pred_a[rows]) - score(y_true[rows], pred_b[rows])
            for rows in _resampled_rows(len(y_true), groups, n_bootstrap, seed)
        ]
    )
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    side = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    return {
        "difference": score(y_true, pred_a) - score(y_true, pred_b),
        "low": float(low),
        "high": float(high),
        "p_value": min(1.0, 2 * (side + 1) / (n_bootstrap + 1)),
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
    """Percentile interval of one classifier's score; parameters as in `paired_bootstrap`."""
    draws = [
        score(y_true[rows], pred[rows])
        for rows in _resampled_rows(len(y_true), groups, n_bootstrap, seed)
    ]
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


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
