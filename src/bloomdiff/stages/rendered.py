"""Synthetic cells with their images, between the stage that draws them and those that show them."""

from __future__ import annotations

import base64
import hashlib
import io

import numpy as np

from bloomdiff.data.embedding_set import Floats, SyntheticSet
from bloomdiff.data.fingerprint import Fingerprint, assert_disjoint
from bloomdiff.data.images import Pixels, decode_rgb, encode_png
from bloomdiff.errors import InputError
from bloomdiff.metrics.rendering import cosines
from bloomdiff.report.explorer.pictures import Picture
from bloomdiff.report.explorer.thumbnails import data_uri
from bloomdiff.stages.inputs import FoldRows
from bloomdiff.stages.project import Project


def rendered_set(
    own: SyntheticSet,
    cells: list[int],
    images: Pixels,
    seen: Floats,
    *,
    decoder: Fingerprint,
) -> SyntheticSet:
    """Rows `cells` of `own` with their images.

    Parameters
    ----------
    own
        Synthetic cells.
    cells
        Those that were drawn.
    images
        uint8 RGB `(n, s, s, 3)`.
    seen
        What the encoder makes of the images, float32 `(n, d)`: the vectors of the set.
    decoder
        Groups that the decoder was fitted on.
    """
    png = [base64.b64encode(encode_png(image)).decode() for image in images]
    header = {"fingerprint": (own.fingerprint | decoder).to_dict(), "asked": _digest(own)}
    return SyntheticSet(seen, own.take(cells).rows.assign(cell=cells, png=png), header)


def images_of(rendered: SyntheticSet) -> Pixels:
    """The images of a set of `rendered_set`, uint8 `(n, s, s, 3)`."""
    return np.stack([decode_rgb(base64.b64decode(p), "rendered") for p in rendered.rows["png"]])


def rendered(project: Project, rows: FoldRows, name: str, own: SyntheticSet) -> dict[int, Picture]:
    """Row of the synthetic cells `own` of generator `name` to its image; empty without images.

    Raises
    ------
    InputError
        The images are of other synthetic cells.
    LeakageError
        The decoder was fitted on test cells.
    """
    from PIL import Image

    path = project.renders / f"{name}.parquet"
    if not path.exists():
        return {}
    found = SyntheticSet.load(path)
    if found.header.get("asked") != _digest(own):
        raise InputError(str(path), "shows other synthetic cells", "run `dvc repro render`")
    assert_disjoint(rows.test.group, found, what=f"the decoder of {rows.name}")
    cells = found.rows["cell"].to_numpy()
    near = cosines(own.X[cells], found.X)
    return {
        int(cell): Picture(data_uri(Image.open(io.BytesIO(base64.b64decode(png)))), float(cosine))
        for cell, png, cosine in zip(cells, found.rows["png"], near, strict=True)
    }


def _digest(own: SyntheticSet) -> str:
    return hashlib.sha256(np.ascontiguousarray(own.X).tobytes()).hexdigest()
