"""Views are the same wherever they are drawn, keep the label's image, and are cached apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bloomdiff.encoders import embed_cells
from bloomdiff.encoders.transform import Transform
from bloomdiff.encoders.views import (
    LAMP,
    SMALLEST_CROP,
    STAIN,
    ViewTransform,
    random_view,
    recipe,
    view_encoder,
    with_views,
)


def picture(height: int = 40, width: int = 56, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


@settings(max_examples=40, deadline=None)
@given(st.integers(5, 60), st.integers(5, 60), st.integers(0, 2**32 - 1))
def test_a_view_is_a_part_of_the_image_turned(height, width, seed):
    view = random_view(picture(height, width), np.random.default_rng(seed))
    assert view.dtype == np.uint8
    assert view.shape[2] == 3
    shown = sorted(view.shape[:2])
    for side, whole in zip(shown, sorted((height, width)), strict=True):
        assert round(SMALLEST_CROP * whole) <= side <= whole


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 255), st.integers(0, 2**32 - 1))
def test_stain_and_lamp_keep_within_beer_and_lambert(level, seed):
    flat = np.full((12, 12, 3), level, dtype=np.uint8)
    view = random_view(flat, np.random.default_rng(seed)).astype(float)
    light = (level + 1) / 256
    least = 256 * (1 - LAMP) * light ** (1 + STAIN) - 1
    most = 256 * (1 + LAMP) * light ** (1 - STAIN) - 1
    assert view.min() >= np.floor(max(least, 0))
    assert view.max() <= np.ceil(min(most, 255))


def test_clear_background_takes_no_stain():
    clear = np.full((12, 12, 3), 255, dtype=np.uint8)
    seen = [random_view(clear, np.random.default_rng(s)).min() for s in range(50)]
    assert min(seen) >= np.floor(256 * (1 - LAMP)) - 1


def test_a_view_hangs_on_its_number_and_the_pixels_alone():
    shown = [ViewTransform(16, view=k)(picture()) for k in (0, 0, 1)]
    assert shown[0].shape == (16, 16, 3)
    np.testing.assert_array_equal(shown[0], shown[1])
    assert (shown[0] != shown[2]).any()
    assert (shown[0] != ViewTransform(16, view=0)(picture(seed=1))).any()
    assert (shown[0] != Transform(16)(picture())).any()


def test_every_view_has_a_cache_of_its_own(stub):
    before = (stub.key, stub.transform)
    keys = {stub.key, *(view_encoder(stub, k).key for k in range(3))}
    assert len(keys) == 4
    assert (stub.key, stub.transform) == before


def test_other_views_are_other_vectors(stub, monkeypatch):
    key = view_encoder(stub, 0).key
    monkeypatch.setattr("bloomdiff.encoders.views.STAIN", 0.3)
    assert view_encoder(stub, 0).key != key


@pytest.mark.parametrize("jobs", [0, 2])
def test_views_are_embedded_row_by_row_once(images, stub, tmp_path, jobs):
    cells, root = images
    plain = embed_cells(cells, root, stub, cache_dir=tmp_path / "cache", jobs=0)
    kept = {"cache_dir": tmp_path / "cache", "jobs": jobs}
    seen = with_views(plain, cells, root, stub, 3, **kept)
    assert seen.views is not None
    assert seen.views.shape == (len(cells), 3, stub.dim)
    np.testing.assert_array_equal(seen.X, plain.X)
    assert seen.header == stub.header | {"views": {"n": 3, **recipe()}}
    from bloomdiff.data.images import read_rgb

    for k in range(3):
        first = view_encoder(stub, k).encode([read_rgb(root / cells["path"].iloc[0])])
        np.testing.assert_array_equal(seen.views[0, k], first[0])

    def refuse(_):
        raise AssertionError("was in the cache")

    stub._forward = refuse
    again = with_views(plain, cells, root, stub, 3, **kept)
    np.testing.assert_array_equal(again.views, seen.views)


def test_an_encoder_on_a_cluster_embeds_its_views_here(stub):
    stub.params = stub.params.model_copy(update={"engine": "ray"})
    assert view_encoder(stub, 0).params.engine == "local"
