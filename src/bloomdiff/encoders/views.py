"""Views of a cell: its image turned, zoomed, stained and lit otherwise, as the next slide might.

A label does not change when the slide is turned under the microscope, the stain is a little
stronger or the focus a little off. So the embeddings of such views tell, without any label, in
which directions an encoder's vectors move although the cell is the same
(`bloomdiff.data.view_whitening`).
"""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.encoders.base import Encoder
from bloomdiff.encoders.transform import Pixels, Transform

SMALLEST_CROP = 0.8
"""Least share of each side that a view shows: a view may be that much nearer."""
STAIN = 0.2
"""Largest relative change of the optical density, of each colour channel by itself."""
LAMP = 0.06
"""Largest relative change of the light, of each colour channel by itself."""
BLURRED = 0.3
"""Share of the views that are out of focus."""
DEFOCUS = 0.006
"""Largest standard deviation of the blur, part of the image's shorter side."""


@dataclass(frozen=True)
class ViewTransform(Transform):
    """A random view of the image, then the encoder's own transform.

    The view hangs on its number and the image's pixels alone: the same in every process.

    Attributes
    ----------
    view
        Number of the view.
    """

    view: int = 0

    def __call__(self, rgb: Pixels) -> Pixels:
        """Draw the view of one image uint8 `(h, w, 3)`."""
        seed = np.frombuffer(_digest(rgb), dtype=np.uint32)
        return super().__call__(random_view(rgb, np.random.default_rng([self.view, *seed])))


def random_view(rgb: Pixels, rng: np.random.Generator) -> Pixels:
    """Turn, mirror, crop, stain, light and defocus an image uint8 `(h, w, 3)` at random.

    The stain follows Beer and Lambert: what it takes from the light is multiplied in the optical
    density, so that clear background stays clear.
    """
    from scipy.ndimage import gaussian_filter

    out = np.rot90(rgb, int(rng.integers(4)))
    if rng.random() < 0.5:
        out = out[:, ::-1]
    height, width = (round(side * rng.uniform(SMALLEST_CROP, 1)) for side in out.shape[:2])
    top, left = rng.integers(out.shape[0] - height + 1), rng.integers(out.shape[1] - width + 1)
    light = (out[top : top + height, left : left + width].astype(np.float32) + 1) / 256
    stain = rng.uniform(1 - STAIN, 1 + STAIN, 3).astype(np.float32)
    lamp = rng.uniform(1 - LAMP, 1 + LAMP, 3).astype(np.float32)
    light = lamp * light**stain
    if rng.random() < BLURRED:
        sigma = rng.uniform(0, DEFOCUS) * min(height, width)
        light = gaussian_filter(light, (sigma, sigma, 0), mode="nearest")
    return (256 * light - 1).round().clip(0, 255).astype(np.uint8)


def view_encoder(encoder: Encoder, view: int) -> Encoder:
    """The same encoder, shown one view of every image; its vectors are cached apart."""
    own = {f.name: getattr(encoder.transform, f.name) for f in fields(Transform)}
    shown = copy.copy(encoder)
    shown.transform = ViewTransform(**own, view=view)
    shown.preprocessing = encoder.preprocessing | {"view": view, **recipe()}
    shown.params = encoder.params.model_copy(update={"engine": "local"})
    return shown


def with_views(
    embeddings: EmbeddingSet,
    cells: pd.DataFrame,
    root: str | Path,
    encoder: Encoder,
    n_views: int,
    *,
    cache_dir: str | Path,
    jobs: int = 2,
) -> EmbeddingSet:
    """Embed random views of every cell too; views that are in the cache are not computed again.

    Parameters
    ----------
    embeddings
        What `embed_cells` made of the same arguments.
    n_views
        Views of each cell, at least 1.
    cells, root, encoder, cache_dir, jobs
        As for `embed_cells`; views are always embedded on this machine.

    Returns
    -------
    The embeddings with `views`, and in the header how these were drawn.
    """
    from bloomdiff.encoders.embed import embed_cells

    found = [
        embed_cells(cells, root, view_encoder(encoder, view), cache_dir=cache_dir, jobs=jobs).X
        for view in range(n_views)
    ]
    header = embeddings.header | {"views": {"n": n_views, **recipe()}}
    return replace(embeddings, header=header, views=np.stack(found, axis=1))


def recipe() -> dict[str, Any]:
    """What the views are drawn with: part of the header, and of the cache's key."""
    return {
        "smallest_crop": SMALLEST_CROP,
        "stain": STAIN,
        "lamp": LAMP,
        "blurred": BLURRED,
        "defocus": DEFOCUS,
    }


def _digest(rgb: Pixels) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(rgb).tobytes(), digest_size=16).digest()
