"""The section that sets a leaking protocol's claims apart from the report's own figures."""

from __future__ import annotations

import pandas as pd

from bloomdiff.report.page import Section
from bloomdiff.report.tables import change, method_name, spelled

TITLE = "What a leaking protocol would claim"
_FAULTS = {
    "fitted_before_split": "generator fitted before the split",
    "divided_after_mixing": "mixed, then split at random",
    "tested_on_mixture": "synthetic rows in the test part",
}


def caution_section(table: pd.DataFrame) -> Section | None:
    """Honest and claimed macro-F1 of each generator; None where nothing was claimed.

    Parameters
    ----------
    table
        Of `bloomdiff.experiments.analysis.inflation.inflation_table`.
    """
    if table.empty:
        return None
    rows = [
        [
            method_name(row["generator"], row["ratio"]),
            _score(row, "honest"),
            _score(row, "claimed"),
            *(change(row, name, scale=100) for name in ("inflation", *_FAULTS)),
        ]
        for _, row in table.iterrows()
    ]
    lead = (
        "**A caution, not a result of this report**: `protocol: cytodiff-2025` re-enacts the "
        "published preparation of CytoDiff on the same generators, hyper-parameters and seeds. "
        "The generator learns from all cells, synthetic and real rows are mixed, and only then "
        "are folds made, so that synthetic rows stand in the test part and their sources in the "
        "training part. Macro-F1 and differences in points; the last three columns add up to the "
        "difference, one fault after another. No other figure on this page comes from these runs."
    )
    head = ["method", "honest", "claimed", "claimed less honest", *_FAULTS.values()]
    return Section(TITLE, lead, head, rows)


def _score(row: pd.Series, name: str) -> str:
    bounds = {"mean": row[name], "low": row[f"{name}_low"], "high": row[f"{name}_high"]}
    return spelled(pd.Series(bounds), scale=100, low=0, top=100)
