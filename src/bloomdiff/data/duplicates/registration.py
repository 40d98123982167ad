"""Whether two images show the same thing: laid over one another, their fine detail must agree.

Matched key points give an affine map by RANSAC [1]_; under that map, the band-passed grey values of
the area that both images show must correlate. Cells of one class agree in their broad shape, never
in position and detail at once, so two unlike cells fail both tests.

References
----------
.. [1] Fischler and Bolles, "Random Sample Consensus", CACM 1981.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bloomdiff.data.duplicates.features import Records, content, mirrored, root
from bloomdiff.data.embedding_set import Floats

# 6,600 pairs of unlike blood and marrow cells had 7 at most, the phantom's smooth cells 11; of
# 1,200 pairs of augmented copies each had 18 at least.
MIN_INLIERS = 12
_RATIO = 0.85  # of distances to the nearest and second nearest feature
_TOLERANCE = 3.0  # pixels
_MAX_STRETCH = 2.0
_FINE, _COARSE = 1.0, 6.0  # standard deviations of the band-pass, pixels


@dataclass(frozen=True)
class Registration:
    """How well image b lies over image a.

    Attributes
    ----------
    inliers
        Key points that agree with the map.
    overlap
        Area that both show, as a part of the smaller image's area.
    correlation
        Pearson correlation of the fine detail in that area.
    offset
        Distance between the two images' centres, in shorter sides of a.
    mirrored
        Whether b is a mirror image of a.
    """

    inliers: int
    overlap: float
    correlation: float
    offset: float
    mirrored: bool


def register(a: Records, b: Records, *, flip: bool) -> Registration | None:
    """Lay b, mirrored if `flip`, over a; None where no plausible map has enough key points."""
    import cv2

    if min(a["n"], b["n"]) < MIN_INLIERS:
        return None
    of_a, of_b = a["descriptor"][: a["n"]], b["descriptor"][: b["n"]]
    i, j = _matches(root(of_a), root(mirrored(of_b) if flip else of_b))
    if len(i) < MIN_INLIERS:
        return None
    at_a, at_b = a["position"][: a["n"]], b["position"][: b["n"]].copy()
    if flip:
        at_b[:, 0] = b["width"] - 1 - at_b[:, 0]
    affine, agree = cv2.estimateAffine2D(at_b[j], at_a[i], ransacReprojThreshold=_TOLERANCE)
    if affine is None or agree.sum() < MIN_INLIERS:
        return None
    stretch = np.linalg.svd(affine[:, :2], compute_uv=False)
    if stretch[0] > _MAX_STRETCH or stretch[1] < 1 / _MAX_STRETCH:
        return None
    grey_a, grey_b = _grey(a), _grey(b)
    if flip:
        grey_b = np.ascontiguousarray(grey_b[:, ::-1])
    shown_a, shown_b = content(grey_a), content(grey_b)
    height, width = grey_a.shape
    laid = cv2.warpAffine(grey_b, affine, (width, height)).astype(np.uint8)
    shown = (shown_a > 0) & (cv2.warpAffine(shown_b, affine, (width, height)) > 0)
    smaller = min(shown_a.sum(), shown_b.sum() * stretch.prod())
    centre_b = affine @ np.array([(grey_b.shape[1] - 1) / 2, (grey_b.shape[0] - 1) / 2, 1])
    offset = np.hypot(*(centre_b - [(width - 1) / 2, (height - 1) / 2])) / min(height, width)
    return Registration(
        inliers=int(agree.sum()),
        overlap=float(min(shown.sum() / max(smaller, 1), 1)),
        correlation=_correlation(_detail(grey_a)[shown], _detail(laid)[shown]),
        offset=float(offset),
        # An affine map may mirror by itself, where the matched features are symmetric.
        mirrored=bool(flip != (np.linalg.det(affine[:, :2]) < 0)),
    )


def _grey(record: Records) -> npt.NDArray[np.uint8]:
    return record["grey"][: record["height"], : record["width"]]


def _matches(a: Floats, b: Floats) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Positions of features that are each other's nearest, clearly nearer than the second."""
    similarity = a @ b.T
    nearest = similarity.argmax(axis=1)
    mutual = similarity.argmax(axis=0)[nearest] == np.arange(len(a))
    second, first = np.partition(similarity, -2, axis=1)[:, -2:].T
    # Unit vectors: the squared distance is 2 - 2 * similarity.
    clear = 1 - first < _RATIO**2 * (1 - second)
    i = np.flatnonzero(mutual & clear)
    return i, nearest[i]


def _detail(grey: npt.NDArray[np.uint8]) -> Floats:
    import cv2

    value = grey.astype(np.float32)
    band = cv2.GaussianBlur(value, (0, 0), _FINE) - cv2.GaussianBlur(value, (0, 0), _COARSE)
    return np.asarray(band, dtype=np.float32)


def _correlation(x: Floats, y: Floats) -> float:
    """Pearson correlation; 0 where either is constant or nothing is shared."""
    if len(x) < 2 or x.std() == 0 or y.std() == 0:
        return 0.0
    return float(np.corrcoef(x, y)[0, 1])
