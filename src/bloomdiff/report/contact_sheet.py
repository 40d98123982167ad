"""A sheet of small pictures: real cells, what is nearest to them, what was drawn of them."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from bloomdiff.data.images import Pixels

SCALE = 2
MARGIN = 4
TITLE, ROW_TITLE = 34, 150


def contact_sheet(columns: Sequence[tuple[str, Pixels]], rows: Sequence[str]) -> bytes:
    """PNG of pictures in rows and columns.

    Parameters
    ----------
    columns
        Title of each column and its pictures, uint8 RGB `(n, s, s, 3)`, all of one size; a title
        may have two lines.
    rows
        Title of each row `(n,)`.
    """
    from PIL import Image, ImageDraw

    side = columns[0][1].shape[1] * SCALE
    pitch = side + MARGIN
    sheet = Image.new("RGB", (ROW_TITLE + len(columns) * pitch, TITLE + len(rows) * pitch), "white")
    pen = ImageDraw.Draw(sheet)
    for number, name in enumerate(rows):
        pen.text((4, TITLE + number * pitch + side // 2 - 6), name, fill="black")
    for place, (title, pictures) in enumerate(columns):
        left = ROW_TITLE + place * pitch
        pen.text((left, 3), title, fill="black")
        for number, picture in enumerate(np.asarray(pictures)):
            one = Image.fromarray(picture).resize((side, side), Image.Resampling.NEAREST)
            sheet.paste(one, (left, TITLE + number * pitch))
    stream = io.BytesIO()
    sheet.save(stream, format="PNG", optimize=True)
    return stream.getvalue()
