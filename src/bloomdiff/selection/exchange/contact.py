"""Contact sheets: the whole queue at a glance, as a picture and as a page."""

from __future__ import annotations

import base64
import html
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bloomdiff.data.images import Pixels, encode_png, read_rgb
from bloomdiff.selection.exchange.base import FORMATS, Format
from bloomdiff.selection.exchange.sheet import Sheet, Shown

if TYPE_CHECKING:
    from PIL import ImageDraw

SIDE = 112  # pixels of a thumbnail
COLUMNS = 8
CAPTION = 44  # pixels below a thumbnail
FOOT = 20  # pixels of the last line
MOST_CELLS = 400  # of a contact sheet: more make a picture that no viewer opens


def thumbnail(rgb: Pixels, side: int = SIDE) -> Pixels:
    """The crop fitted into a white square, uint8 `(side, side, 3)`."""
    import cv2

    scale = side / max(rgb.shape[:2])
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    out = np.full((side, side, 3), 255, dtype=np.uint8)
    top, left = (side - size[1]) // 2, (side - size[0]) // 2
    out[top : top + size[1], left : left + size[0]] = small
    return out


def shortened(text: str, pen: ImageDraw.ImageDraw, width: int) -> str:
    """The text, or as much of its beginning as `width` pixels hold, with dots behind it."""
    if pen.textlength(text) <= width:
        return text
    while text and pen.textlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text}..."


def guess(cell: Shown) -> str:
    """Predicted class with its probability; '' where none is predicted."""
    return f"{cell.predicted} {cell.confidence:.2f}" if cell.predicted else ""


@FORMATS.register("png")
class ContactSheet(Format):
    """A picture of the first `MOST_CELLS` cells with rank, kind of reason and prediction.

    What it leaves out is told in its last line.
    """

    name = "png"
    file = "contact_sheet.png"
    answers = False
    most = MOST_CELLS

    def fill(self, sheet: Sheet, temporary: Path, path: Path) -> None:
        """Draw the sheet."""
        from PIL import Image, ImageDraw

        cells = sheet.cells[:MOST_CELLS]
        rows = -(-len(cells) // COLUMNS)
        whole = 0 < len(cells) == len(sheet.cells)
        size = (COLUMNS * (SIDE + 8), rows * (SIDE + CAPTION) + (0 if whole else FOOT))
        picture = Image.new("RGB", size, "white")
        pen = ImageDraw.Draw(picture)
        for number, cell in enumerate(cells):
            x = number % COLUMNS * (SIDE + 8) + 4
            y = number // COLUMNS * (SIDE + CAPTION) + 4
            small = thumbnail(read_rgb(sheet.crops / cell.crop))
            picture.paste(Image.fromarray(small), (x, y))
            pen.text((x, y + SIDE + 2), f"{cell.rank}  {cell.reason.partition(':')[0]}", "black")
            if cell.predicted:
                name = shortened(cell.predicted, pen, SIDE + 6)
                pen.text((x, y + SIDE + 15), name, "gray")
                pen.text((x, y + SIDE + 28), f"{cell.confidence:.2f}", "gray")
        if not whole:
            told = f"the first {len(cells)} of {len(sheet.cells)} cells" if cells else "no cell"
            pen.text((4, size[1] - FOOT + 4), told, "black")
        picture.save(temporary)


STYLE = (
    "body{font:14px sans-serif;margin:2em}figure{display:inline-block;width:150px;margin:6px;"
    "vertical-align:top}figcaption{font-size:12px}img{width:112px;height:112px}"
    "small{color:#555}"
)


@FORMATS.register("html")
class ContactPage(Format):
    """One page that needs no other file: thumbnail, prediction and reason of each cell."""

    name = "html"
    file = "contact_sheet.html"
    answers = False

    def fill(self, sheet: Sheet, temporary: Path, path: Path) -> None:
        """Write the page."""
        parts = [
            "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
            f"<title>Cells to be labelled</title><style>{STYLE}</style></head><body>",
            f"<h1>{len(sheet.cells)} cells to be labelled</h1>",
        ]
        for cell in sheet.cells:
            data = base64.b64encode(
                encode_png(thumbnail(read_rgb(sheet.crops / cell.crop)))
            ).decode()
            alt = html.escape(cell.cell_id, quote=True)
            parts.append(
                f"<figure><img alt='{alt}' title='{alt}' src='data:image/png;base64,{data}'>"
                f"<figcaption>{cell.rank}. {html.escape(guess(cell))}<br>"
                f"<small>{html.escape(cell.reason)}</small></figcaption></figure>"
            )
        temporary.write_text("".join([*parts, "</body></html>\n"]), encoding="utf-8")
