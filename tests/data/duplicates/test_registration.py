from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from bloomdiff.data.duplicates.features import MAX_FEATURES, SIDE, content, extract, mirrored
from bloomdiff.data.duplicates.registration import register

from .conftest import draw_field


def features(image: Image.Image):
    return extract(np.asarray(image))


def test_a_mirrored_descriptor_is_that_of_the_mirrored_image():
    grey = np.asarray(draw_field(2).convert("L"))
    points, descriptors = cv2.SIFT.create(nfeatures=80).detectAndCompute(grey, None)
    # OpenCV's own detection in the flipped image is the oracle.
    flipped = np.ascontiguousarray(grey[:, ::-1])
    others, expected = cv2.SIFT.create(nfeatures=80).detectAndCompute(flipped, None)
    ours = mirrored(descriptors)
    cosines = []
    for point, ours_here in zip(points, ours, strict=True):
        for other, theirs in zip(others, expected, strict=True):
            near = np.hypot(
                grey.shape[1] - 1 - other.pt[0] - point.pt[0], other.pt[1] - point.pt[1]
            )
            turned = abs((180 - other.angle - point.angle + 180) % 360 - 180)
            if near < 0.5 and turned < 2:
                norm = np.linalg.norm(ours_here) * np.linalg.norm(theirs)
                cosines.append(float(ours_here @ theirs / norm))
    assert len(cosines) > 15
    assert np.median(cosines) > 0.99
    assert mirrored(ours).tolist() == descriptors.tolist()


@pytest.mark.parametrize("angle", [0, 17, 90, 203])
@pytest.mark.parametrize("flip", [False, True])
def test_turned_and_mirrored_copies_fit_and_it_is_told_how(angle, flip):
    image = draw_field(4)
    copy = image.rotate(angle, resample=Image.Resampling.BICUBIC)
    if flip:
        copy = copy.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    fit = register(features(image), features(copy), flip=flip)
    assert fit is not None
    assert fit.correlation > 0.8
    assert fit.overlap > 0.9
    assert fit.offset < 0.02
    assert fit.mirrored == flip
    # Symmetric features may match the wrong way about; the affine map then mirrors by itself.
    other = register(features(image), features(copy), flip=not flip)
    assert other is None or (other.mirrored == flip and other.correlation > 0.8)


def test_offset_and_overlap_are_those_of_the_crops():
    wide = draw_field(6, size=300)
    a, b = wide.crop((0, 0, 200, 200)), wide.crop((60, 0, 260, 200))
    fit = register(features(a), features(b), flip=False)
    assert fit is not None
    assert fit.offset == pytest.approx(60 / 200, abs=0.01)
    assert fit.overlap == pytest.approx(140 / 200, abs=0.05)


def test_unlike_images_do_not_fit():
    records = [features(draw_field(seed)) for seed in range(12)]
    for i, a in enumerate(records):
        for b in records[:i]:
            for flip in (False, True):
                fit = register(a, b, flip=flip)
                assert fit is None or fit.correlation < 0.3


def test_fill_is_no_content_and_dark_cells_are():
    grey = np.full((60, 60), 200, dtype=np.uint8)
    grey[:15] = 0  # what a turn leaves
    grey[30:36, 30:36] = 5  # a dark granule
    mask = content(grey)
    assert not mask[:18].any()
    assert mask[25:50, 25:50].all()


def test_features_are_of_one_size_and_repeat():
    record = features(draw_field(1, size=333).crop((0, 0, 333, 200)))
    assert (record["width"], record["height"]) == (SIDE, round(200 * SIDE / 333))
    assert 20 < record["n"] <= MAX_FEATURES
    assert not record["descriptor"][record["n"] :].any()
    assert record == features(draw_field(1, size=333).crop((0, 0, 333, 200)))
