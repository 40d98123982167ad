"""The sweep's scores as means with intervals, and as paired differences to real cells only."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bloomdiff.experiments.scores import score_of
from bloomdiff.metrics.headline import Comparison, adjust, headline
from bloomdiff.metrics.statistics import (
    Difference,
    Estimate,
    corrected_interval,
    paired_difference,
)

REAL_ONLY = "none"
METHOD = ["generator", "ratio"]
KEYS = ["fold", *METHOD, "seed"]
ESTIMATE = [
    *("mean", "low", "high"),
    *("gain", "gain_low", "gain_high", "p_value", "effect_size"),
]
_ADJECTIVE = {"balance": "balanced"}


def fraction_tested(scores: pd.DataFrame) -> float:
    """Share of the labelled cells that a fold tests on, mean over the folds.

    Where a few shots of each class are trained on, the others that folds could have trained on
    count as well: what makes folds depend on each other is how many cells they share, and few
    shots share hardly any.

    Parameters
    ----------
    scores
        `fold` (as `make_folds` names them), `n` and `n_train`.
    """
    tested = scores.groupby("fold")["n"].first()
    repeat = tested.index.to_series().str.extract(r"^(r\d+)f", expand=False).fillna("")
    # Every labelled cell is tested once a repeat.
    others = tested.groupby(repeat.to_numpy()).transform("sum") - tested
    trained = np.maximum(scores["n_train"], scores["fold"].map(others))
    return float((scores["n"] / (scores["n"] + trained)).mean())


def estimate_methods(
    table: pd.DataFrame, column: str, *, test_fraction: float, confidence: float
) -> pd.DataFrame:
    """Mean of a column with its interval, and the paired difference to real cells only.

    Parameters
    ----------
    table
        One row per `fold, generator, ratio, seed`, and the column; real-only is among the
        generators as `none`. Folds in which a method or real-only has no value are left out of it.
    column
        What to summarise.
    test_fraction
        Of `fraction_tested`.
    confidence
        Coverage of the intervals.

    Returns
    -------
    DataFrame
        One row per generator and ratio, real-only first, ratios rising: `generator, ratio`, the
        columns of `ESTIMATE` (NaN gains for real-only itself, NaN bounds with one fold) and
        `n_folds`.
    """
    records = []
    for generator, ratio, estimate, difference in _methods(
        table, column, test_fraction, confidence
    ):
        record: dict[str, Any] = {"generator": generator, "ratio": ratio}
        record |= {"mean": estimate.mean, "low": estimate.low, "high": estimate.high}
        record["n_folds"] = estimate.n_folds
        if difference is not None:
            record |= {
                "gain": difference.mean,
                "gain_low": difference.low,
                "gain_high": difference.high,
                "p_value": difference.p_value,
                "effect_size": difference.effect_size,
            }
        records.append(record)
    return _sorted(pd.DataFrame(records).reindex(columns=[*METHOD, *ESTIMATE, "n_folds"]))


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
        Column to summarise, a score that `score_of` knows.
    allocation
        How the synthetic rows were shared among the classes, for the sentence.
    confidence
        Coverage of the intervals; one less it is the tests' error rate.
    beforehand
        Generator and ratio of the one comparison that was named before the results were seen. It
        is tested alone; all the others share Holm's correction, which with few folds hardly
        anything passes.

    Returns
    -------
    table, sentence
        `estimate_methods` with `p_holm` in addition; and the sentences that follow from the tests.
        Where smaller is better, gains and sentences are of the score's negative: a gain is a gain.

    Raises
    ------
    InputError
        `metric` is no score.
    """
    score = score_of(metric)
    name = "macro-F1" if metric == "macro_f1" else metric
    fraction = fraction_tested(scores)
    if not score.larger_is_better:
        name, scores = f"minus {metric}", scores.assign(**{metric: -scores[metric]})
    table = estimate_methods(scores, metric, test_fraction=fraction, confidence=confidence)
    if not score.larger_is_better:
        table[["mean", "low", "high"]] = -table[["mean", "high", "low"]].to_numpy()
    # What the t-interval holds beyond the values that the score can take says nothing.
    table["low"] = table["low"].clip(lower=score.lowest)
    table["high"] = table["high"].clip(upper=score.highest)
    adjective = _ADJECTIVE.get(allocation, allocation)
    comparisons = [
        Comparison(generator, float(ratio), adjective, difference)
        for generator, ratio, _, difference in _methods(scores, metric, fraction, confidence)
        if difference is not None
    ]
    adjusted = {
        (one.generator, one.ratio): p
        for one, p in zip(comparisons, adjust(comparisons), strict=True)
    }
    keys = zip(table["generator"], table["ratio"].astype(float), strict=True)
    table["p_holm"] = [adjusted.get(key, math.nan) for key in keys]
    named = [c for c in comparisons if (c.generator, c.ratio) == beforehand]
    alone, together = (
        headline(family, score=name, confidence=confidence) for family in (named, comparisons)
    )
    return table, f"Named beforehand: {alone}. All together: {together}."


def _methods(
    table: pd.DataFrame, column: str, test_fraction: float, confidence: float
) -> Iterator[tuple[str, str, Estimate, Difference | None]]:
    """Each generator and ratio: its estimate, and its difference to real-only on equal folds."""
    baseline = fold_values(table[table["generator"] == REAL_ONLY], column)
    for (generator, ratio), part in table.groupby(METHOD, sort=False):
        values = fold_values(part, column)
        if values.empty:
            continue
        estimate = corrected_interval(_array(values), test_fraction, confidence=confidence)
        difference = None
        shared = values.index.intersection(baseline.index)
        if generator != REAL_ONLY and len(shared):
            difference = paired_difference(
                _array(values.loc[shared]),
                _array(baseline.loc[shared]),
                test_fraction,
                confidence=confidence,
            )
        yield str(generator), str(ratio), estimate, difference


def fold_values(part: pd.DataFrame, column: str) -> pd.DataFrame:
    """Values of one method, a row a fold and a column a seed; folds that lack one are left out."""
    return part.pivot(index="fold", columns="seed", values=column).dropna()


def _array(values: pd.DataFrame) -> npt.NDArray[np.float64]:
    return values.to_numpy(dtype=np.float64)


def _sorted(table: pd.DataFrame) -> pd.DataFrame:
    """Real-only first, then by generator as given, ratios rising."""
    order = {name: rank for rank, name in enumerate([REAL_ONLY, *table["generator"]][::-1])}
    ranks = table["generator"].map(order)
    ratios = table["ratio"].astype(float)
    keyed = table.assign(_rank=-ranks, _ratio=ratios.where(ratios < math.inf, 1e308))
    return keyed.sort_values(["_rank", "_ratio"], ignore_index=True)[table.columns]
