"""The head of the annotation queue: which unlabelled cells the expert should see first, and why."""

from __future__ import annotations

import html
from pathlib import Path

import numpy as np
import pandas as pd

from bloomdiff.report.explorer.thumbnails import thumbnail

PART = "part:"  # columns of a queue that hold the parts of its scores
NONE = "<p>Every cell has a label: there is nothing to ask for.</p>"


def queue_section(table: pd.DataFrame, images: Path, pool: int) -> str:
    """HTML of a queue's cells: picture, rank, prediction, reason and the parts of the score.

    Parameters
    ----------
    table
        `bloomdiff.selection.queue.Queue.table`.
    images
        The folder that the table's paths are relative to.
    pool
        Cells without a label.

    Raises
    ------
    InputError
        An image is missing or damaged.
    """
    cells = "".join(_cell(pd.Series(row), images) for row in table.to_dict(orient="records"))
    return (
        f"<p>The first {len(table)} of {pool:,} cells without a label, in the order in which "
        "<code>bloomdiff select</code> asks for them. What is predicted is no label.</p>"
        f'<ol class="cells">{cells}</ol>'
    )


def _cell(row: pd.Series, images: Path) -> str:
    alt = html.escape(str(row["cell_id"]), quote=True)
    sure = row["confidence"]
    guess = f"{row['predicted']} {sure:.2f}" if np.isfinite(sure) else "no prediction"
    parts = [
        f"{str(name).removeprefix(PART).replace('_', ' ')} {value:.2g}"
        for name, value in row.items()
        if str(name).startswith(PART) and np.isfinite(value)
    ]
    return (
        f'<li><img class="picture" alt="{alt}" title="{alt}" '
        f'src="{thumbnail(images / row["path"])}"><strong>{row["rank"]}.</strong> '
        f"{html.escape(guess)}<br>{html.escape(row['reason'])}"
        f'<br><span class="note">{html.escape(", ".join(parts))}</span></li>'
    )
