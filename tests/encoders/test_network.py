from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_vit import random_model, small_vit

from bloomdiff.encoders import EncoderParams, network, precision
from bloomdiff.encoders.transform import Transform

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (11, 28, 28, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def encoder():
    return small_vit()


@torch.inference_mode()
def test_encode_is_normalise_then_timm(encoder) -> None:
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    x = (torch.from_numpy(IMAGES).permute(0, 3, 1, 2) / 255 - mean) / std
    expected = random_model().forward_features(x)[:, 0]
    np.testing.assert_allclose(encoder.encode(IMAGES), expected, atol=1e-5, rtol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(11)), st.integers(1, 11))
def test_a_row_does_not_depend_on_its_companions(order: list[int], n: int) -> None:
    encoder = small_vit_once()
    whole = encoder.encode(IMAGES)
    np.testing.assert_array_equal(encoder.encode(IMAGES[order[:n]]), whole[order[:n]])


_kept: list = []


def small_vit_once():
    if not _kept:
        _kept.append(small_vit())
    return _kept[0]


def test_the_number_of_threads_changes_no_bit(encoder) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = encoder.encode(IMAGES)
        torch.set_num_threads(2)
        np.testing.assert_array_equal(encoder.encode(IMAGES), alone)
        assert torch.get_num_threads() == 2
        with encoder.session(), ThreadPoolExecutor(2) as pool:
            parts = list(pool.map(encoder.encode_transformed, [IMAGES[:4], IMAGES[4:8]]))
        np.testing.assert_array_equal(np.concatenate(parts), alone[:8])
    finally:
        torch.set_num_threads(before)


def test_images_of_any_size_are_resized(encoder) -> None:
    odd = [RNG.integers(0, 256, size, dtype=np.uint8) for size in [(30, 41, 3), (9, 28, 3)]]
    assert encoder.encode(odd).shape == (2, 384)
    assert encoder.encode(odd).dtype == np.float32
    assert encoder.encode([]).shape == (0, 384)


@pytest.mark.parametrize("bad", [np.zeros((1, 28, 28, 3)), np.zeros((1, 28, 28), np.uint8)])
def test_what_is_no_rgb_batch_is_refused(encoder, bad) -> None:
    with pytest.raises(ValueError, match="uint8"):
        encoder.encode(bad)


@pytest.mark.parametrize(("tta", "views"), [("rotations", 4), ("dihedral", 8)])
def test_test_time_views_make_rows_invariant(encoder, tta: str, views: int) -> None:
    averaged = small_vit(tta=tta)
    found = averaged.encode(IMAGES[:3])
    turned = averaged.encode(np.rot90(IMAGES[:3], axes=(1, 2)))
    np.testing.assert_allclose(found, turned, atol=2e-6)
    mirrored = averaged.encode(IMAGES[:3, :, ::-1])
    assert np.allclose(found, mirrored, atol=2e-6) == (tta == "dihedral")
    flips = [IMAGES[:3], IMAGES[:3, :, ::-1]][: views // 4]
    each = [encoder.encode(np.rot90(f, k, axes=(1, 2))) for f in flips for k in range(4)]
    assert len(each) == views
    np.testing.assert_allclose(found, np.mean(each, axis=0), atol=2e-6)
    assert averaged.key != encoder.key


def test_whatever_changes_bits_changes_the_key(encoder, monkeypatch) -> None:
    others = [
        small_vit(**p)
        for p in (
            {"pooling": "mean"},
            {"layers": (1,)},
            {"batch_size": 5},
            {"image_size": 42},
            {"precision": "bfloat16"},
        )
    ]
    assert len({e.key for e in (encoder, *others)}) == 6
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: False)
    assert small_vit(engine="ray").key == encoder.key == small_vit(precision="auto").key


@pytest.mark.parametrize("field", ["mean", "std"])
def test_another_normalisation_has_another_key(field: str) -> None:
    made = []
    for value in (0.5, 0.4):
        given = {"mean": [0.5] * 3, "std": [0.5] * 3, field: [value] * 3}
        made.append(
            network.NetworkEncoder(
                "mean colour",
                torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()),
                digest="0" * 64,
                transform=Transform(28),
                features={},
                params=EncoderParams(precision="float32", batch_size=4),
                device="cpu",
                **given,
            )
        )
    one, two = made
    assert (one.encode(IMAGES) != two.encode(IMAGES)).all()
    assert one.key != two.key


def test_bfloat16_is_close_and_chosen_only_in_hardware(encoder, monkeypatch) -> None:
    rounded = small_vit(precision="bfloat16").encode(IMAGES)
    exact = encoder.encode(IMAGES)
    cosine = (rounded * exact).sum(1) / np.linalg.norm(rounded, axis=1)
    assert (1 - cosine / np.linalg.norm(exact, axis=1)).max() < precision.MAX_COSINE_CHANGE
    assert not np.array_equal(rounded, exact)

    def dtype() -> str:
        return small_vit(precision="auto").preprocessing["dtype"]

    monkeypatch.setattr(precision, "has_bfloat16", lambda device: False)
    assert dtype() == "float32"
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: True)
    assert dtype() == "bfloat16"
    monkeypatch.setattr(precision, "MAX_COSINE_CHANGE", 1e-9)
    assert dtype() == "float32"


def test_devices() -> None:
    assert network.resolve_device("cpu").type == "cpu"
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert network.resolve_device("auto").type == expected
