"""The synthetic sets' morphological parameters over the folds."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bloomdiff.metrics.statistics import corrected_interval

COLUMNS = [
    *("generator", "scope", "parameter", "r2", "error", "floor"),
    *("excess", "excess_low", "excess_high", "mean_shift", "n_folds", "note"),
]


def trait_table(
    morphology: pd.DataFrame, *, test_fraction: float, confidence: float
) -> pd.DataFrame:
    """Means over folds of `morphology_errors`, and the error's excess over the floor.

    Returns
    -------
    DataFrame
        The columns of `COLUMNS`; `excess` (error less floor, in deviations of the held-out cells)
        has the corrected interval over folds; these and `r2` are over the `n_folds` folds in which
        the parameter can be read, `r2` over all where there is none; `note` says why a row has no
        error. Empty where no true parameters are known.
    """
    records: list[dict[str, Any]] = []
    keys = ["generator", "scope", "parameter"]
    for values, part in morphology.groupby(keys, sort=False):
        record: dict[str, Any] = dict(zip(keys, values, strict=True))
        judged = part.dropna(subset=["error"])
        # Of the folds that the errors are from: elsewhere it may be unreadable.
        record["r2"] = (judged if len(judged) else part)["r2"].mean()
        if len(judged):
            excess = corrected_interval(
                (judged["error"] - judged["floor"]).to_numpy(), test_fraction, confidence=confidence
            )
            for name in ("error", "floor", "mean_shift"):
                record[name] = judged[name].mean()
            record |= {"excess": excess.mean, "n_folds": excess.n_folds, "note": ""}
            record |= {"excess_low": excess.low, "excess_high": excess.high}
        else:
            record |= {"n_folds": 0, "note": part["note"].iloc[0]}
        records.append(record)
    return pd.DataFrame(records, columns=COLUMNS)
