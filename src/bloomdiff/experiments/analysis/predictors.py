"""Which metric of the synthetic sets predicts their usefulness: rank agreement with the gain."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bloomdiff.experiments.summary import REAL_ONLY, fold_values
from bloomdiff.metrics.agreement import rank_metrics
from bloomdiff.metrics.base import OVERALL


def predictor_table(
    fidelity: pd.DataFrame,
    scores: pd.DataFrame,
    metric: str,
    ratio: str,
    *,
    seed: int,
    confidence: float,
) -> pd.DataFrame:
    """Rank agreement of every metric with the gain at one ratio, the best predictor first.

    Parameters
    ----------
    fidelity
        Records of the metrics with `fold` and `generator`.
    scores
        One classifier's: `fold, generator, ratio, seed` and `metric`.
    metric
        The score whose gain over real-only counts, larger is better.
    ratio
        The synthetic-to-real ratio, spelled.
    seed
        Seed of the permutations.
    confidence
        Coverage of the intervals.

    Returns
    -------
    DataFrame
        `metric`, `rho`, `low`, `high`, `p_value`, `p_adjusted`, `n_generators`, `n_folds`, `note`
        of `rank_metrics`, and `confidence`.
    """
    real = fold_values(scores[scores["generator"] == REAL_ONLY], metric).mean(axis=1)
    at = scores[(scores["ratio"] == ratio) & (scores["generator"] != REAL_ONLY)]
    means = at.groupby(["fold", "generator"])[metric].mean().unstack()
    gains = means.sub(real, axis=0).dropna(how="any")
    overall = fidelity[fidelity["scope"] == OVERALL]
    values = {}
    for name, part in overall.groupby("metric", sort=False):
        table = part.pivot(index="fold", columns="generator", values="value")
        found = table.reindex(index=gains.index, columns=gains.columns)
        values[str(name)] = found.to_numpy(dtype=np.float64)
    records = rank_metrics(values, gains.to_numpy(), seed=seed, confidence=confidence)
    return pd.DataFrame(records).assign(confidence=confidence)
