import cv2
import numpy as np
import pytest

from bloomdiff.data.images import encode_png
from bloomdiff.errors import InputError
from bloomdiff.selection.quality import judge, robust_z


def cell(seed: int) -> np.ndarray:
    """A dark disc with texture on a bright ground."""
    rng = np.random.default_rng(seed)
    image = np.full((80, 80, 3), 220, dtype=np.uint8)
    cv2.circle(image, (40, 40), 18 + seed % 5, (120, 60, 150), -1)
    return np.clip(image + rng.normal(0, 12, image.shape), 0, 255).astype(np.uint8)


@pytest.fixture
def crops(tmp_path):
    images = [cell(i) for i in range(20)]
    images[3] = cv2.GaussianBlur(images[3], (0, 0), 6)
    images[7] = (
        images[7] * 0.2 + np.random.default_rng(0).integers(0, 40, images[7].shape)
    ).astype(np.uint8)
    paths = []
    for i, image in enumerate(images):
        paths.append(tmp_path / f"{i}.png")
        paths[-1].write_bytes(encode_png(image))
    return paths


def test_blurred_and_dark_crops_are_told(crops):
    reasons = judge(crops)
    assert [i for i, reason in enumerate(reasons) if reason] == [3, 7]
    assert reasons[3].startswith("out of focus: sharpness ")
    assert reasons[7].startswith("artefact: too dark, grey level ")


def test_a_damaged_image_is_named(tmp_path):
    path = tmp_path / "broken.png"
    path.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"broken\.png"):
        judge([path])


def test_the_robust_score_ignores_the_outlier_itself():
    z = robust_z(np.asarray([1.0, 2, 3, 4, 1000]))
    assert z[4] > 300
    assert robust_z(np.ones(4)).tolist() == [0, 0, 0, 0]
