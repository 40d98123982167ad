"""Tables of the benchmarks in README and docs, written from what was measured.

A page holds a table between `<!-- scored: NAME -->` and `<!-- /scored -->`; what stands there is
replaced.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from bloomdiff.files import atomic_file

BLOCK = re.compile(r"(<!-- scored: ([\w-]+) -->\n).*?(<!-- /scored -->)", re.DOTALL)
Table = list[str]
Tables = Mapping[str, Callable[[pd.DataFrame], Table]]


def write_page(path: Path, tables: Tables, scores: pd.DataFrame) -> None:
    """Fill in the tables of a page that are among these."""
    text = path.read_text(encoding="utf-8")
    filled = filled_in(text, tables, scores)
    if filled != text:
        with atomic_file(path) as temporary:
            temporary.write_text(filled, encoding="utf-8")


def filled_in(page: str, tables: Tables, scores: pd.DataFrame) -> str:
    """The page with these tables as `scores` have them; others stay as they are."""

    def block(found: re.Match[str]) -> str:
        make = tables.get(found[2])
        return found[0] if make is None else "\n".join([found[1].rstrip(), *make(scores), found[3]])

    return BLOCK.sub(block, page)


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table in Markdown, a line an item."""
    return [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]
