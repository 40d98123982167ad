"""By how many points a leaking protocol flatters, and which of its faults is how much to blame."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bloomdiff.experiments.summary import fold_values
from bloomdiff.metrics.statistics import corrected_interval, paired_difference


def inflation_table(
    claims: pd.DataFrame, scores: pd.DataFrame, *, test_fraction: float, confidence: float
) -> pd.DataFrame:
    """Compare what is claimed with the honest score of the same generators.

    Parameters
    ----------
    claims
        `fold, generator, ratio, classifier, seed, step, claimed`; the steps in the order in which
        the faults are added, the last being what the protocol claims.
    scores
        The honest sweep: `fold, generator, ratio, classifier, seed, macro_f1`.
    test_fraction, confidence
        As in `paired_difference`. A fold is paired with the fold that has the same number: equal
        hyper-parameters and seeds, about as many rows; the last two steps test other rows.

    Returns
    -------
    DataFrame
        One row per generator: `generator, ratio, honest, claimed, n_folds`, in shares, each score
        with `_low` and `_high`; `inflation`, claimed less honest, and a column per step, what that
        fault adds, each with `_low` and `_high`. No row without claims.
    """
    records = []
    for (generator, ratio), part in claims.groupby(["generator", "ratio"], sort=False):
        own = scores[
            (scores["generator"] == generator)
            & (scores["ratio"] == ratio)
            & (scores["classifier"] == part["classifier"].iloc[0])
        ]
        honest = fold_values(own, "macro_f1")
        record: dict[str, Any] = {"generator": generator, "ratio": ratio, "n_folds": len(honest)}
        before = honest
        for step, rows in part.groupby("step", sort=False):
            after = fold_values(rows, "claimed").loc[honest.index, honest.columns]
            record |= _spread(str(step), after, before, test_fraction, confidence)
            before = after
        record |= _spread("inflation", before, honest, test_fraction, confidence)
        for name, values in (("honest", honest), ("claimed", before)):
            found = corrected_interval(values.to_numpy(), test_fraction, confidence=confidence)
            # The score lies in [0, 1], so what the t-interval holds beyond says nothing.
            bounds = {f"{name}_low": max(found.low, 0.0), f"{name}_high": min(found.high, 1.0)}
            record |= {name: found.mean, **bounds}
        records.append(record)
    return pd.DataFrame(records)


def _spread(
    name: str, after: pd.DataFrame, before: pd.DataFrame, test_fraction: float, confidence: float
) -> dict[str, float]:
    found = paired_difference(
        after.to_numpy(), before.to_numpy(), test_fraction, confidence=confidence
    )
    return {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high}
