"""The page that people read: what was asked, the answer with its interval, and what it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bloomdiff.report.tables import LEGEND, markdown_table, ratio_grid


def page(
    *,
    sentence: str,
    summaries: Mapping[str, pd.DataFrame],
    per_class: pd.DataFrame,
    fidelity: pd.DataFrame,
    facts: Sequence[str],
    warnings: Sequence[str],
    counts: Mapping[str, Mapping[str, int]],
    confidence: float,
) -> str:
    """Write the Markdown page.

    Parameters
    ----------
    sentence
        The answer, of `summarise` for the primary classifier.
    summaries
        Classifier name to the table of `summarise`; the primary one first.
    per_class
        `class, real only, <generator>…` mean F1 of the primary classifier at one ratio.
    fidelity
        The synthetic sets' own metrics, spelled for reading.
    facts
        One line each: protocol, encoder, counts.
    warnings
        One line each: what may mislead.
    counts
        Class to `cells` and `groups`.
    confidence
        Coverage of the intervals.
    """
    percent = f"{100 * confidence:g} %"
    parts = ["# Did synthetic cells help?", f"**{sentence}**"]
    parts += [f"> **Warning:** {line}" for line in warnings]
    parts += ["![macro-F1 against the ratio](ratio_curves.png)"]
    for number, (name, table) in enumerate(summaries.items()):
        head, rows = ratio_grid(table)
        title = f"## Macro-F1 (points) by ratio: {name}"
        title += " (primary)" if number == 0 else ""
        parts += [title, markdown_table(head, rows)]
    parts += [f"Mean and {percent} interval over folds; {LEGEND}."]
    parts += ["## F1 per class", _frame(per_class)]
    parts += ["## The synthetic sets themselves", _frame(fidelity)]
    rows = [[name, str(c["cells"]), str(c["groups"])] for name, c in counts.items()]
    parts += ["## Cells", markdown_table(["class", "cells", "groups"], rows)]
    parts += ["## Protocol", "\n".join(f"- {line}" for line in facts)]
    return "\n\n".join(parts) + "\n"


def _frame(table: pd.DataFrame) -> str:
    rows: list[list[str]] = [[_cell(value) for value in row] for row in table.to_numpy()]
    return markdown_table([str(column) for column in table.columns], rows)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.3g}"
    return str(value)
