"""Pictures stand in their row and column, unchanged but for their size."""

import io

import numpy as np
from PIL import Image

from bloomdiff.report.contact_sheet import MARGIN, ROW_TITLE, SCALE, TITLE, contact_sheet


def test_pictures_stand_where_their_titles_say():
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3)).astype(np.uint8)
    png = contact_sheet([("real", pixels[:3]), ("two\nlines", pixels[3:])], ["a", "b", "c"])
    sheet = np.asarray(Image.open(io.BytesIO(png)))
    side = 8 * SCALE
    for column in range(2):
        for row in range(3):
            top, left = (TITLE + row * (side + MARGIN), ROW_TITLE + column * (side + MARGIN))
            found = sheet[top : top + side : SCALE, left : left + side : SCALE]
            np.testing.assert_array_equal(found, pixels[3 * column + row])
