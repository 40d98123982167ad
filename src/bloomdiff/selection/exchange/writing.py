"""A queue in several formats at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bloomdiff.files import check_nothing_is_lost
from bloomdiff.selection.exchange.base import Format
from bloomdiff.selection.exchange.sheet import Sheet


def write_formats(sheet: Sheet, formats: Sequence[Format], out: Path) -> list[str]:
    """Write all formats below `out`, or none where one of them cannot be written.

    Returns
    -------
    list of str
        A line for each format: what was written where, and what it leaves out.
    """
    with ExitStack() as stack:
        filled: list[tuple[Format, Path]] = []
        for one in formats:
            temporary = stack.enter_context(one.opened(out / one.file))
            one.fill(sheet, temporary, out / one.file)
            filled.append((one, temporary))
        # A folder may be refused when it takes its place: by then another one had taken its own.
        for one, temporary in filled:
            if one.folder:
                check_nothing_is_lost(out / one.file, temporary, stale=one.stale)
    lines = []
    for one in formats:
        some = one.most is not None and len(sheet.cells) > one.most
        part = f" (the first {one.most} of {len(sheet.cells)} cells)" if some else ""
        lines.append(f"{one.name}: {out / one.file}{part}")
    return lines
