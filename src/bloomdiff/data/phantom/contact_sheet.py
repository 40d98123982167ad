"""A picture of the phantom for the documentation: a few cells of each class."""

from __future__ import annotations

from pathlib import Path

from bloomdiff.data.phantom.cell_types import TYPES
from bloomdiff.data.phantom.params import PhantomParams
from bloomdiff.data.phantom.render import render_cell
from bloomdiff.data.phantom.smear import slide_of_cells
from bloomdiff.files import atomic_file

TILE, GAP, CAPTION, COLOURS = 88, 2, 13, 96  # pixels; palette entries


def write_contact_sheet(
    path: str | Path, params: PhantomParams, *, seed: int, cells: int = 7
) -> None:
    """Write a PNG with one row a class: its name, and its first `cells` cells, reduced.

    Parameters
    ----------
    path
        Picture to write.
    params
        Knobs.
    seed
        Seed of the phantom.
    cells
        Cells a class.
    """
    from PIL import Image, ImageDraw

    # Two classes a line: a row for each would be a tower.
    block = cells * (TILE + GAP) + 8
    height = TILE + CAPTION + GAP
    sheet = Image.new("RGB", (2 * block - 8, (len(TYPES) + 1) // 2 * height), "white")
    pen = ImageDraw.Draw(sheet)
    for position, label in enumerate(TYPES):
        top, left = position // 2 * height, position % 2 * block
        pen.text((left + 2, top), label, fill="black")
        for number, slide in enumerate(slide_of_cells(label, cells, params, seed=seed)):
            rgb = render_cell(label, number, slide, params, seed=seed).rgb
            tile = Image.fromarray(rgb).resize((TILE, TILE), Image.Resampling.LANCZOS)
            sheet.paste(tile, (left + number * (TILE + GAP), top + CAPTION))
    with atomic_file(path) as temporary:
        sheet.quantize(COLOURS, dither=Image.Dither.NONE).save(temporary, optimize=True)
