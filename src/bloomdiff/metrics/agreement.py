"""Which metric of the synthetic set predicts usefulness: its ranking against downstream gain.

References
----------
Spearman (1904), The proof and measurement of association between two things; Bonett and Wright
(2000), Sample size requirements for estimating Pearson, Kendall and Spearman correlations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bloomdiff.metrics.base import METRICS, Better, Record, number
from bloomdiff.metrics.statistics import holm

Floats = npt.NDArray[np.floating[Any]]
_PERMUTATIONS = 9999
_MINIMUM = 4  # generators: three can be ordered in only six ways


def ranking_agreement(
    values: Floats,
    gains: Floats,
    *,
    better: Better,
    seed: int,
    confidence: float = 0.95,
    n_permutations: int = _PERMUTATIONS,
) -> Record:
    """Spearman correlation of a metric with the gain, across generators, averaged over folds.

    Parameters
    ----------
    values
        The metric `(folds, generators)`.
    gains
        Score with synthetic rows less score without `(folds, generators)`.
    better
        Which direction of the metric is better, so that +1 always means that it predicts gain.
    seed, n_permutations
        Seed and number of the permutations behind the p-value.
    confidence
        Coverage of the interval.

    Returns
    -------
    dict
        `rho` (-1 to 1; None where undefined), `low` and `high` (its interval by Bonett and
        Wright, the generators as the sample), `p_value` of no association (generators exchanged
        at random, alike in all folds, since folds share their generators), `n_generators`,
        `n_folds`, `note`.
    """
    from scipy.stats import rankdata

    values, gains = np.atleast_2d(values), np.atleast_2d(gains)
    if values.shape != gains.shape:
        raise ValueError(f"values {values.shape} and gains {gains.shape} disagree")
    found: Record = {"rho": None, "low": None, "high": None, "p_value": None, "note": ""}
    found.update(n_folds=values.shape[0], n_generators=values.shape[1])
    if values.shape[1] < _MINIMUM:
        return found | {"note": f"too few: needs {_MINIMUM} generators, has {values.shape[1]}"}
    if not values.size:
        return found | {"note": "too few: needs 1 fold, has 0"}
    if not (np.isfinite(values).all() and np.isfinite(gains).all()):
        return found | {"note": "the metric is undefined for a generator or fold"}
    sign = 1 if better == "higher" else -1
    a, b = rankdata(sign * values, axis=1), rankdata(gains, axis=1)
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    scale = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    if (scale == 0).any():
        return found | {"note": "all generators tie in a fold"}
    a = a / scale[:, None]
    rho = float((a * b).sum(axis=1).mean())
    rng = np.random.default_rng(seed)
    orders = rng.permuted(np.tile(np.arange(a.shape[1]), (n_permutations, 1)), axis=1)
    # Sum over folds and generators of a · b under each order, averaged over the folds.
    products = a.T @ b / len(a)
    shuffled = products[np.arange(a.shape[1]), orders].sum(axis=1)
    extreme = int((np.abs(shuffled) >= abs(rho) - 1e-12).sum())
    low, high = _interval(rho, a.shape[1], confidence)
    found.update(rho=number(rho), low=number(low), high=number(high))
    return found | {"p_value": (extreme + 1) / (n_permutations + 1)}


def _interval(rho: float, n: int, confidence: float) -> tuple[float, float]:
    """Interval of a rank correlation of `n` pairs."""
    from scipy.special import ndtri

    # The transform has no value at ±1: half a step of the attainable correlations inside of it.
    bound = 1 - 6 / (n * (n**2 - 1))
    inside = float(np.clip(rho, -bound, bound))
    half = ndtri(0.5 + confidence / 2) * np.sqrt((1 + inside**2 / 2) / (n - 3))
    low, high = np.tanh(np.arctanh(inside) + np.array([-half, half]))
    return min(float(low), rho), max(float(high), rho)


def rank_metrics(
    values: Mapping[str, Floats], gains: Floats, *, seed: int, confidence: float = 0.95
) -> list[Record]:
    """`ranking_agreement` of every metric, best first, with Holm-adjusted p-values.

    Parameters
    ----------
    values
        Name of a registered metric to its values `(folds, generators)`.
    gains
        `(folds, generators)`.
    seed
        Seed of the permutations.
    confidence
        Coverage of the intervals.

    Returns
    -------
    list of dict
        `metric`, the record of `ranking_agreement`, and `p_adjusted`.
    """
    records: list[Record] = []
    for name, array in values.items():
        better = METRICS[name].better
        record = ranking_agreement(array, gains, better=better, seed=seed, confidence=confidence)
        records.append({"metric": name, **record})
    raw = [np.nan if record["p_value"] is None else record["p_value"] for record in records]
    for record, p in zip(records, holm(raw), strict=True):
        record["p_adjusted"] = number(p)
    return sorted(records, key=lambda r: (r["rho"] is None, -(r["rho"] or 0.0), r["metric"]))
