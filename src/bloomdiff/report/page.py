"""The page that people read: what was asked, the answer with its interval, and what it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from bloomdiff.report.tables import legend, markdown_table, ratio_grid


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes
    ----------
    title
        Heading.
    lead
        What the table says and how to read it.
    head, rows
        The table, spelled; no rows is no table.
    figures
        Alternative text and file name of each picture.
    """

    title: str
    lead: str
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    figures: Sequence[tuple[str, str]] = ()

    def markdown(self) -> str:
        """The section as Markdown."""
        parts = [f"## {self.title}", self.lead]
        parts += [f"![{text}]({name})" for text, name in self.figures]
        if self.rows:
            parts.append(markdown_table(self.head, self.rows))
        return "\n\n".join(parts)


def page(
    *,
    sentence: str,
    summaries: Mapping[str, pd.DataFrame],
    sections: Sequence[Section],
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
    sections
        What stands between the ratio tables and the protocol.
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
        head, rows = ratio_grid(table, confidence)
        title = f"## Macro-F1 (points) by ratio: {name}"
        title += " (primary)" if number == 0 else ""
        parts += [title, markdown_table(head, rows)]
    parts += [f"Mean and {percent} interval over folds; {legend(confidence)}."]
    parts += [section.markdown() for section in sections]
    rows = [[name, str(c["cells"]), str(c["groups"])] for name, c in counts.items()]
    parts += ["## Cells", markdown_table(["class", "cells", "groups"], rows)]
    parts += ["## Protocol", "\n".join(f"- {line}" for line in facts)]
    return "\n\n".join(parts) + "\n"
