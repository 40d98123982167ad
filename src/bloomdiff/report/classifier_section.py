"""The section that compares the classifiers with one another, no synthetic row added."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from bloomdiff.report.page import Section
from bloomdiff.report.tables import change, number, spelled


def classifier_section(table: pd.DataFrame, primary: str, tuned: Collection[str]) -> Section | None:
    """Macro-F1 of every classifier on real cells only; None where there is one classifier.

    Parameters
    ----------
    table
        Of `bloomdiff.experiments.analysis.comparisons.classifier_table`.
    primary
        The classifier that the others are compared with.
    tuned
        Names of those that had a study; the others are as `params.yaml` gives them.
    """
    if table.empty:
        return None
    rows = [
        [
            row["classifier"],
            spelled(row, scale=100, low=0, top=100),
            change(row, "gain", scale=100),
            number(row["p_holm"]),
        ]
        for _, row in table.iterrows()
    ]
    given = [f"`{name}`" for name in table["classifier"] if name not in tuned]
    told = (
        "Each tuned on the training part with as many trials."
        if not given
        else f"As given, not tuned: {', '.join(given)}; the others with as many trials each."
        if len(given) < len(table)
        else "Each as given, none tuned."
    )
    lead = (
        f"{told} Macro-F1 and the paired difference "
        f"to `{primary}`, in points, over folds by the corrected resampled t; Holm's p is over the "
        "classifiers. Nothing here was named beforehand."
    )
    head = ["classifier", "macro-F1", f"less {primary}", "Holm's p"]
    return Section("The classifiers on real cells only", lead, head, rows)
