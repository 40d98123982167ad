"""From which field of BCCD was each augmented copy made? An exhaustive search, to judge others by.

Every copy's features are matched with those of all fields and their mirror images, without any
candidate search, and the best field is laid over the copy: made from it, a copy agrees with it in
fine detail to a correlation above 0.9, which no second field comes near. Fields that show the same
part of the smear (BCCD's photographer passed there twice) make up one scene.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm

from bloomdiff.data.images import read_rgb
from bloomdiff.files import read_json, write_json

SIZE = (320, 240)  # of the copies; the fields are twice as large
MADE_FROM = 0.9
VOTERS = 50  # features that vote for the fields to lay over the image
# Of 1,084 best pairs of fields, those of one scene have a correlation above 0.29 and at least 7 key
# points, the others below 0.21 and at most 6.
SAME_SCENE, SAME_SCENE_INLIERS = 0.25, 7
Grey = NDArray[np.uint8]


@dataclass(frozen=True)
class Truth:
    """Each copy's field, None where BCCD lacks it; each field's scene."""

    original: dict[str, str | None]
    scene: dict[str, str]


def read_truth(shared: Path, kept: Path) -> Truth:
    """The truth that was kept, or a new search."""
    if not kept.exists():
        write_json(kept, asdict(search(shared)))
    return Truth(**read_json(kept))


def search(shared: Path) -> Truth:
    fields = [p.relative_to(shared).as_posix() for p in sorted(shared.glob("bccd/JPEG*/*.jpg"))]
    copies = [p.relative_to(shared).as_posix() for p in sorted(shared.glob("bccd-aug*/*/*.jpeg"))]
    small = [cv2.resize(grey(shared / f), SIZE, interpolation=cv2.INTER_AREA) for f in fields]
    index = Index([image.astype(np.uint8) for image in small])
    original: dict[str, str | None] = {}
    for name in tqdm(copies, desc="copies"):
        best = index.best(grey(shared / name))
        made = [field for correlation, _, field in best if correlation > MADE_FROM]
        original[name] = fields[made[0]] if made else None
    links = [
        (i, j)
        for i in tqdm(range(len(fields)), desc="fields")
        for correlation, inliers, j in index.best(index.images[i], without=i)
        if correlation > SAME_SCENE and inliers >= SAME_SCENE_INLIERS
    ]
    graph = coo_array((np.ones(len(links)), np.array(links).T), shape=(len(fields), len(fields)))
    _, part = connected_components(graph, directed=False)
    _, first = np.unique(part, return_index=True)
    return Truth(original, {f: fields[first[k]] for f, k in zip(fields, part, strict=True)})


def grey(path: Path) -> Grey:
    return cv2.cvtColor(read_rgb(path), cv2.COLOR_RGB2GRAY).astype(np.uint8)


class Index:
    """The features of all fields, as they are and mirrored."""

    def __init__(self, images: list[Grey]) -> None:
        self.images = images
        self.sift = cv2.SIFT.create(nfeatures=250, contrastThreshold=0.02)
        whole = np.ones_like(images[0])
        self.views = [np.ascontiguousarray(i[:, ::step]) for i in images for step in (1, -1)]
        found = [self.features(view, whole) for view in self.views]
        self.at = [at for at, _ in found]
        self.descriptor = np.concatenate([d for _, d in found])
        self.view = np.repeat(np.arange(len(found)), [len(at) for at in self.at])

    def features(self, image: Grey, mask: Grey) -> tuple[NDArray, NDArray]:
        """Positions and RootSIFT descriptors, the strongest first."""
        points, descriptor = self.sift.detectAndCompute(image, mask)
        order = np.argsort([-p.response for p in points], kind="stable")
        unit = np.sqrt(descriptor / descriptor.sum(axis=1, keepdims=True))
        return np.array([p.pt for p in points], dtype=np.float32)[order], unit[order]

    def best(self, image: Grey, without: int = -1) -> list[tuple[float, int, int]]:
        """Correlation, inliers and number of the fields that fit best, best first."""
        shown = _shown(image)
        at, descriptor = self.features(image, shown)
        similarity = descriptor[:VOTERS] @ self.descriptor.T
        similarity[:, self.view // 2 == without] = -1
        votes = np.bincount(self.view[similarity.argmax(axis=1)], minlength=len(self.views))
        fits = []
        for view in np.argsort(-votes)[:6]:
            part = descriptor @ self.descriptor[self.view == view].T
            second, first = np.partition(part, -2, axis=1)[:, -2:].T
            clear = 1 - first < 0.8**2 * (1 - second)
            if clear.sum() < 6:
                continue
            affine, agree = cv2.estimateAffine2D(
                self.at[view][part.argmax(axis=1)[clear]], at[clear], maxIters=3000
            )
            if affine is None:
                continue
            laid = cv2.warpAffine(self.views[view], affine, image.shape[::-1])
            there = cv2.warpAffine(np.ones_like(image), affine, image.shape[::-1])
            both = (shown > 0) & (there > 0)
            if both.sum() < 1500:
                continue
            r = np.corrcoef(_detail(image)[both], _detail(laid)[both])[0, 1]
            fits.append((float(r), int(agree.sum()), int(view // 2)))
        return sorted(fits, reverse=True)


def _shown(image: Grey) -> Grey:
    """Mask without the black that turning leaves, and without the border."""
    mask = cv2.morphologyEx((image > 12).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((7, 7)))
    framed = cv2.copyMakeBorder(mask[1:-1, 1:-1], 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    return cv2.erode(framed, np.ones((13, 13)), borderValue=0).astype(np.uint8)


def _detail(image: Grey) -> NDArray:
    value = image.astype(np.float32)
    return cv2.GaussianBlur(value, (0, 0), 1) - cv2.GaussianBlur(value, (0, 0), 6)
