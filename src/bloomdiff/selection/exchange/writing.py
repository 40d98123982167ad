"""A queue in several formats at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bloomdiff.selection.exchange.base import Format
from bloomdiff.selection.exchange.sheet import Sheet


def write_formats(sheet: Sheet, formats: Sequence[Format], out: Path) -> list[str]:
    """Write all formats below `out`, or none where one of them cannot be written.

    Returns
    -------
    list of str
        A line for each format: what was written where, and what it leaves out.
    """
    # A folder may still be refused when it takes its place: entered last, it leaves first.
    ordered = sorted(formats, key=lambda one: one.folder)
    with ExitStack() as stack:
        for one in ordered:
            temporary = stack.enter_context(one.opened(out / one.file))
            one.fill(sheet, temporary, out / one.file)
    lines = []
    for one in formats:
        some = one.most is not None and len(sheet.cells) > one.most
        part = f" (the first {one.most} of {len(sheet.cells)} cells)" if some else ""
        lines.append(f"{one.name}: {out / one.file}{part}")
    return lines
