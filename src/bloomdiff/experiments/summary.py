"""The sweep's scores as means with intervals, and as paired differences to real cells only."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

from bloomdiff.metrics.headline import Comparison, adjust, headline
from bloomdiff.metrics.statistics import corrected_interval, paired_difference

REAL_ONLY = "none"
_ADJECTIVE = {"balance": "balanced"}


def summarise(
    scores: pd.DataFrame,
    *,
    metric: str,
    allocation: str,
    confidence: float,
    beforehand: tuple[str, float],
) -> tuple[pd.DataFrame, str]:
    """Summarise one classifier's scores over folds and seeds.

    Parameters
    ----------
    scores
        Rows of one classifier: `fold, generator, ratio, seed, n_train, n` and `metric`.
    metric
        Column to summarise, larger is better, in shares.
    allocation
        How the synthetic rows were shared among the classes, for the sentence.
    confidence
        Coverage of the intervals.
    beforehand
        Generator and ratio of the one comparison that was named before the results were seen. It
        is tested alone; all the others share Holm's correction, which with few folds hardly
        anything passes.

    Returns
    -------
    table, sentence
        One row per generator and ratio: `mean, low, high`, and the paired difference to
        real-only `gain, gain_low, gain_high, p_value, p_holm` (NaN for real-only itself); and the
        sentences that follow from the tests.
    """
    test_fraction = float((scores["n"] / (scores["n"] + scores["n_train"])).mean())
    baseline = _by_fold(scores[scores["generator"] == REAL_ONLY], metric)
    records, comparisons = [], []
    for (generator, ratio), part in scores.groupby(["generator", "ratio"], sort=False):
        values = _by_fold(part, metric)
        estimate = corrected_interval(values, test_fraction, confidence=confidence)
        record = {
            "generator": generator,
            "ratio": ratio,
            "mean": estimate.mean,
            # The score lies in [0, 1], so what the t-interval holds beyond says nothing.
            "low": max(estimate.low, 0.0),
            "high": min(estimate.high, 1.0),
        }
        if generator != REAL_ONLY:
            difference = paired_difference(values, baseline, test_fraction, confidence=confidence)
            adjective = _ADJECTIVE.get(allocation, allocation)
            comparisons.append(Comparison(str(generator), float(str(ratio)), adjective, difference))
            record |= {
                "gain": difference.mean,
                "gain_low": difference.low,
                "gain_high": difference.high,
                "p_value": difference.p_value,
            }
        records.append(record)
    table = pd.DataFrame(records).reindex(columns=COLUMNS)
    synthetic = table["generator"] != REAL_ONLY
    table.loc[synthetic, "p_holm"] = adjust(comparisons)
    named = [c for c in comparisons if (c.generator, c.ratio) == beforehand]
    sentence = f"Named beforehand: {headline(named)}. All together: {headline(comparisons)}."
    return _sorted(table), sentence


COLUMNS = [
    *("generator", "ratio", "mean", "low", "high"),
    *("gain", "gain_low", "gain_high", "p_value", "p_holm"),
]


def _by_fold(part: pd.DataFrame, metric: str) -> npt.NDArray[np.float64]:
    """Scores `(folds, seeds)`, in the order of their names."""
    return part.pivot(index="fold", columns="seed", values=metric).to_numpy(dtype=np.float64)


def _sorted(table: pd.DataFrame) -> pd.DataFrame:
    """Real-only first, then by generator as given, ratios rising."""
    order = {name: rank for rank, name in enumerate([REAL_ONLY, *table["generator"]][::-1])}
    ranks = table["generator"].map(order)
    ratios = table["ratio"].astype(float)
    keyed = table.assign(_rank=-ranks, _ratio=ratios.where(ratios < math.inf, 1e308))
    return keyed.sort_values(["_rank", "_ratio"], ignore_index=True)[table.columns]
