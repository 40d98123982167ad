"""Rendered cells in the page: the right ones, and never more than it can hold."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from bloomdiff.report.explorer.pictures import Picture, pictures
from bloomdiff.report.explorer.thumbnails import RENDERED_SIDE, limited_uris

HEAD = "data:image/webp;base64,"


def noise(n, side=64):
    return np.random.default_rng(0).integers(0, 256, (n, side, side, 3)).astype(np.uint8)


def test_rows_without_an_image_stay_empty():
    found = {3: Picture("data:a", 0.12345), 9: Picture("data:b", 0.5)}
    own = pictures(np.array([9, 1, 3]), found)
    assert own == {"image": ["data:b", "", "data:a"], "cosine": [0.5, 0.0, 0.123]}
    assert pictures(np.array([0, 1]), {}) is None


def test_noise_is_held_to_the_limit():
    free = limited_uris(noise(20), 10**9)
    size = sum(map(len, free))
    tight = limited_uris(noise(20), size - 1)
    assert 0 < sum(map(len, tight)) < size
    assert all(tight)
    few = limited_uris(noise(20), size // 10)
    assert sum(map(len, few)) <= size // 10
    assert few[0].startswith(HEAD)
    assert few[-1] == ""


@pytest.mark.parametrize("side", [32, 200])
def test_large_images_are_shrunk_and_small_ones_left(side):
    [uri] = limited_uris(noise(1, side), 10**9)
    with Image.open(io.BytesIO(base64.b64decode(uri.removeprefix(HEAD)))) as image:
        assert image.size == (min(side, RENDERED_SIDE),) * 2
