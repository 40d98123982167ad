import re
from pathlib import Path

import numpy as np
from PIL import Image

from bloomdiff.data.phantom import PhantomParams
from bloomdiff.data.phantom.cell_types import TYPES
from bloomdiff.data.phantom.contact_sheet import TILE, write_contact_sheet
from bloomdiff.data.phantom.write import class_counts

PAGE = Path(__file__).parents[3] / "docs" / "phantom.md"


def test_every_class_gets_its_tiles(tmp_path, small):
    write_contact_sheet(tmp_path / "sheet.png", small, seed=0, cells=2)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("L"))
    # Tiles are the places with colour: two classes a line, two cells each.
    tall, wide = sheet.shape
    assert tall >= len(TYPES) / 2 * TILE
    assert wide >= 4 * TILE
    assert (sheet < 250).mean() > 0.8


def test_the_page_tells_the_counts_that_are_drawn():
    rows = re.findall(r"`(\w+)` \| (\d+) \| (\d+)", PAGE.read_text(encoding="utf-8"))
    told = {name: (int(published), int(drawn)) for name, published, drawn in rows}
    counts = class_counts(PhantomParams())
    assert told == {name: (kind.count, counts[name]) for name, kind in TYPES.items()}


def test_the_page_tells_every_knob_and_its_default():
    text = PAGE.read_text(encoding="utf-8")
    for name, value in PhantomParams().model_dump().items():
        row = next(
            line for line in text.splitlines() if line.startswith("|") and f"`{name}`" in line
        )
        assert f"{value:g}" in row
