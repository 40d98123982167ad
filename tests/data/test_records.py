from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloomdiff.data.records import MIN_BOX_SIDE, Box, clip, crop

FIELD = np.random.default_rng(1).integers(0, 256, (40, 60, 3), dtype=np.uint8)
edge = st.floats(-200, 200)


def test_a_box_inside_is_left_alone() -> None:
    box = Box(3, 4, 10, 20)
    assert clip(box, 60, 40) == (box, "")
    assert clip(Box(0, 0, 60, 40), 60, 40) == (Box(0, 0, 60, 40), "")


def test_a_box_that_leaves_the_field_is_clipped_and_told() -> None:
    box, told = clip(Box(-5, 30, 20, 20), 60, 40)
    assert box == Box(0, 30, 15, 10)
    assert told == "box [-5, 30, 15, 50] leaves the 60x40 field: clipped"


def test_half_a_pixel_outside_is_rounding() -> None:
    box, told = clip(Box(-0.4, 0, 60.8, 40.3), 60, 40)
    assert box == Box(0, 0, 60, 40)
    assert told == ""


@pytest.mark.parametrize(
    "box", [Box(5, 5, 0, 10), Box(5, 5, 10, 1.9), Box(9, 9, -3, 5), Box(float("nan"), 0, 9, 9)]
)
def test_degenerate_boxes_are_skipped_and_told(box: Box) -> None:
    found, told = clip(box, 60, 40)
    assert found is None
    assert told.endswith("is degenerate: skipped")


def test_boxes_outside_are_skipped_and_told() -> None:
    found, told = clip(Box(100, 5, 10, 10), 60, 40)
    assert found is None
    assert told.endswith("lies outside the 60x40 field: skipped")


def test_relative_boxes_are_fractions_of_the_field() -> None:
    found, _ = clip(Box(0.25, 0.5, 0.5, 0.25, relative=True), 60, 40)
    assert found == Box(15, 20, 30, 10)


@given(edge, edge, edge, edge)
def test_a_clipped_box_lies_in_the_field_and_in_the_given_one(
    x: float, y: float, width: float, height: float
) -> None:
    found, told = clip(Box(x, y, width, height), 60, 40)
    if found is None:
        assert told
        return
    assert 0 <= found.x <= found.x + found.width <= 60 + 1e-9
    assert 0 <= found.y <= found.y + found.height <= 40 + 1e-9
    assert min(found.width, found.height) >= MIN_BOX_SIDE
    assert found.x >= min(x, 0) - 1e-9
    assert found.x + found.width <= x + width + 1e-9 or x + width < 0


def test_a_crop_is_the_square_around_the_box() -> None:
    np.testing.assert_array_equal(crop(FIELD, Box(20, 10, 10, 6), 0.0), FIELD[8:18, 20:30])
    np.testing.assert_array_equal(crop(FIELD, Box(20, 10, 10, 6), 0.2), FIELD[6:20, 18:32])


def test_a_crop_at_the_rim_is_moved_inside() -> None:
    np.testing.assert_array_equal(crop(FIELD, Box(0, 0, 10, 4), 0.5), FIELD[:20, :20])
    np.testing.assert_array_equal(crop(FIELD, Box(55, 30, 5, 10), 0.0), FIELD[30:40, 50:60])


def test_a_crop_larger_than_the_field_is_the_field() -> None:
    np.testing.assert_array_equal(crop(FIELD, Box(5, 5, 50, 30), 1.0), FIELD)


@given(st.floats(0, 55), st.floats(0, 35), st.floats(2, 60), st.floats(2, 40), st.floats(0, 3))
def test_a_crop_shows_the_whole_box(
    x: float, y: float, width: float, height: float, margin: float
) -> None:
    box = Box(x, y, min(width, 60 - x), min(height, 40 - y))
    rows, columns = np.mgrid[:40, :60]
    marked = np.dstack([columns, rows, rows]).astype(np.uint8)
    found = crop(marked, box, margin)
    side = round(max(box.width, box.height) * (1 + 2 * margin))
    assert found.shape == (min(side, 40), min(side, 60), 3) or side == 0
    # Rounding may cost a pixel's part of the rim.
    assert found[..., 0].min() <= box.x + 1
    assert found[..., 0].max() >= box.x + box.width - 2
    assert found[..., 1].min() <= box.y + 1
    assert found[..., 1].max() >= box.y + box.height - 2
