"""Nested honesty: what tuning believed on the inner folds beside what the outer folds say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bloomdiff.experiments.summary import REAL_ONLY
from bloomdiff.metrics.statistics import paired_difference


def nested_table(
    studies: Mapping[str, Mapping[str, Mapping[str, Any]]],
    scores: pd.DataFrame,
    *,
    kind: str,
    test_fraction: float,
    confidence: float,
) -> pd.DataFrame:
    """The best inner macro-F1 of each study beside the outer macro-F1 of what it chose.

    Parameters
    ----------
    studies
        Fold to method to entry, as the tuning stages write them; entries without a study are
        left out.
    scores
        `fold, method, macro_f1`: the outer scores that the studies were made for, several rows
        (seeds) a fold.
    kind
        "classifier" or "generator".
    test_fraction, confidence
        As in `paired_difference`.

    Returns
    -------
    DataFrame
        `kind, name, inner, outer, optimism` (inner less outer) with `optimism_low` and
        `optimism_high`, and `n_folds`.
    """
    outer = scores.groupby(["fold", "method"])["macro_f1"].mean()
    names = sorted({name for methods in studies.values() for name in methods})
    records = []
    for name in names:
        pairs = [
            (methods[name]["study"]["macro_f1"], outer[fold, name])
            for fold, methods in sorted(studies.items())
            if methods[name]["study"] is not None and (fold, name) in outer.index
        ]
        if not pairs:
            continue
        inner, found = zip(*pairs, strict=True)
        gap = paired_difference(
            [[v] for v in inner], [[v] for v in found], test_fraction, confidence=confidence
        )
        records.append(
            {
                "kind": kind,
                "name": name,
                "inner": sum(inner) / len(inner),
                "outer": sum(found) / len(found),
                "optimism": gap.mean,
                "optimism_low": gap.low,
                "optimism_high": gap.high,
                "n_folds": gap.n_folds,
            }
        )
    return pd.DataFrame(records)


def classifier_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Real-only scores of every classifier, as `nested_table` wants them."""
    return scores[scores["generator"] == REAL_ONLY].assign(method=lambda t: t["classifier"])


def generator_scores(scores: pd.DataFrame, primary: str, ratio: str) -> pd.DataFrame:
    """Scores of every generator at the ratio of its study, as `nested_table` wants them."""
    chosen = (scores["classifier"] == primary) & (scores["ratio"] == ratio)
    return scores[chosen & (scores["generator"] != REAL_ONLY)].assign(
        method=lambda t: t["generator"]
    )
