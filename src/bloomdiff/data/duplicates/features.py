"""Local features of a cell image: what two copies still share after a turn, a flip and a shift.

SIFT key points [1]_ from OpenCV, on the image scaled to one size. All cells' features lie in one
file of fixed-size records, mapped rather than loaded, so that memory stays flat.

References
----------
.. [1] Lowe, "Distinctive Image Features from Scale-Invariant Keypoints", IJCV 2004.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bloomdiff.data.images import Pixels, read_rgb
from bloomdiff.parallel import map_chunks

SIDE = 160  # pixels of the longer side
MAX_FEATURES = 120
FEATURES = np.dtype(
    [
        ("height", np.int32),
        ("width", np.int32),
        ("n", np.int32),
        ("grey", np.uint8, (SIDE, SIDE)),
        ("position", np.float32, (MAX_FEATURES, 2)),
        ("descriptor", np.uint8, (MAX_FEATURES, 128)),
    ]
)
Records = npt.NDArray[np.void]

# Augmentation fills what it turns in from outside with black, which no stained smear shows.
_BLACK = 16
_FILL_MARGIN = 4  # pixels; key points nearer to the fill describe its edge, not the cell
_CONTRAST = 0.02  # half of SIFT's default: blurred cells have few strong corners


def extract_features(paths: Sequence[Path], store: Path, *, jobs: int) -> Records:
    """Write the features of images to `store` (npy) and return the mapped records `(n,)`.

    Raises
    ------
    InputError
        An image that cannot be read.
    """
    records = np.lib.format.open_memmap(store, mode="w+", dtype=FEATURES, shape=(len(paths),))
    start = 0
    chunks = map_chunks(
        partial(_extract_all), paths, jobs=jobs, describe="features", total=len(paths)
    )
    for chunk in chunks:
        records[start : start + len(chunk)] = chunk
        start += len(chunk)
    records.flush()
    return records


def _extract_all(paths: list[Path]) -> Records:
    return np.stack([extract(read_rgb(path)) for path in paths])


def extract(rgb: Pixels) -> Records:
    """Features of one image uint8 `(h, w, 3)`: a record of dtype `FEATURES`, shape `()`."""
    import cv2

    scale = SIDE / max(rgb.shape[:2])
    height, width = (max(1, round(n * scale)) for n in rgb.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(rgb, (width, height), interpolation=how)
    grey = cv2.cvtColor(scaled, cv2.COLOR_RGB2GRAY).astype(np.uint8)
    sift = cv2.SIFT.create(nfeatures=MAX_FEATURES, contrastThreshold=_CONTRAST)
    points, descriptors = sift.detectAndCompute(grey, content(grey))
    # Among equally strong points SIFT keeps more than it was asked for.
    strongest = np.argsort([-p.response for p in points], kind="stable")[:MAX_FEATURES]
    record = np.zeros((), dtype=FEATURES)
    record["height"], record["width"], record["n"] = height, width, len(strongest)
    record["grey"][:height, :width] = grey
    if len(strongest):
        record["position"][: len(strongest)] = np.array([p.pt for p in points])[strongest]
        record["descriptor"][: len(strongest)] = descriptors[strongest]
    return record


def content(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Mask `(h, w)` that is 0 on black fill touching the border, and near it."""
    import cv2

    _, region = cv2.connectedComponents((grey <= _BLACK).astype(np.uint8))
    border = np.concatenate([region[0], region[-1], region[:, 0], region[:, -1]])
    shown = (~np.isin(region, np.unique(border[border > 0]))).astype(np.uint8)
    size = 2 * _FILL_MARGIN + 1
    framed = cv2.copyMakeBorder(shown, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    return cv2.erode(framed, np.ones((size, size), np.uint8))[1:-1, 1:-1].astype(np.uint8)


def mirrored(descriptor: npt.NDArray) -> npt.NDArray:
    """Descriptors `(n, 128)` that the same key points have in the mirrored image.

    Relative to its own orientation a mirrored patch has its rows of cells in reverse and its eight
    gradient directions negated; so no second detection is needed.
    """
    cells = descriptor.reshape(-1, 4, 4, 8)[:, ::-1]
    return cells[..., -np.arange(8) % 8].reshape(-1, 128)


def root(descriptor: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """RootSIFT `(n, 128)`: unit vectors whose dot product is the Hellinger kernel [1]_.

    References
    ----------
    .. [1] Arandjelovic and Zisserman, "Three things everyone should know to improve object
       retrieval", CVPR 2012.
    """
    total = descriptor.sum(axis=1, keepdims=True, dtype=np.float32)
    return np.sqrt(descriptor / np.maximum(total, 1)).astype(np.float32)
