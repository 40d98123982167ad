"""What the errors mean to a laboratory: their cost by lineage, and the slides' differentials."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bloomdiff.errors import InputError
from bloomdiff.experiments.analysis.predictions import Setting
from bloomdiff.experiments.summary import estimate_methods
from bloomdiff.metrics.classification import confusion_matrix
from bloomdiff.metrics.costs import CostParams, cheapest_class, cost_matrix, mean_cost
from bloomdiff.metrics.differential import differential_counts, differential_summary

DECISIONS = ("most probable class", "least expected cost")
SUMMARY = ("mean_absolute_error", "within_limits")


def cost_table(
    settings: Sequence[Setting],
    classes: Sequence[str],
    params: CostParams,
    *,
    test_fraction: float,
    confidence: float,
) -> pd.DataFrame:
    """Mean cost of a test cell: `decision` (one of `DECISIONS`) and `estimate_methods`.

    A lower cost is better: a method that helps has a negative `gain`.
    """
    costs = cost_matrix(classes, params)
    records = []
    for one in settings:
        for decision, predicted in zip(
            DECISIONS, (one.predicted, cheapest_class(one.proba, costs)), strict=True
        ):
            confusion = confusion_matrix(one.truth, predicted, len(classes))
            records.append({**one.key, "decision": decision, "cost": mean_cost(confusion, costs)})
    parts = [
        estimate_methods(part, "cost", test_fraction=test_fraction, confidence=confidence).assign(
            decision=decision
        )
        for decision, part in pd.DataFrame(records).groupby("decision", sort=False)
    ]
    return pd.concat(parts, ignore_index=True)


def cost_pairs(classes: Sequence[str], params: CostParams) -> pd.DataFrame:
    """The cost matrix itself: `true`, `predicted`, `cost`."""
    names = list(classes)
    table = pd.DataFrame(cost_matrix(classes, params), index=names, columns=names)
    melted = table.rename_axis("true").melt(
        ignore_index=False, var_name="predicted", value_name="cost"
    )
    return melted.reset_index()


def differential_tables(
    settings: Sequence[Setting],
    classes: Sequence[str],
    *,
    minimum: int,
    test_fraction: float,
    confidence: float,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The slides' differential counts.

    Returns
    -------
    summary
        `score` (`mean_absolute_error` of the shares, `within_limits`: the share of slide and class
        pairs inside Rümke's interval), `n_slides` in all folds, and `estimate_methods`.
    slides
        The records of `differential_counts` with their fold, generator, ratio and seed. Both are
        empty where no slide has `minimum` cells.
    """
    slides, scores = [], []
    for one in settings:
        try:
            records = differential_counts(
                one.truth, one.predicted, one.groups, classes, minimum=minimum
            )
        except InputError:  # no slide of this fold is large enough
            continue
        slides.append(pd.DataFrame(records).assign(**one.key))
        scores.append({**one.key, **differential_summary(records)})
    if not scores:
        return pd.DataFrame(), pd.DataFrame()
    table, every = pd.DataFrame(scores), pd.concat(slides, ignore_index=True)
    n_slides = every["slide"].nunique()  # of repeated folds, once
    parts = [
        estimate_methods(table, score, test_fraction=test_fraction, confidence=confidence).assign(
            score=score, n_slides=n_slides
        )
        for score in SUMMARY
    ]
    return pd.concat(parts, ignore_index=True), every
