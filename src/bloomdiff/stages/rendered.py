"""Synthetic cells with their images, between the stage that draws them and those that show them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

import numpy as np

from bloomdiff.data.embedding_set import Floats, SyntheticSet
from bloomdiff.data.fingerprint import Fingerprint, assert_disjoint
from bloomdiff.data.images import Pixels, decode_rgb, encode_png
from bloomdiff.errors import InputError
from bloomdiff.metrics.rendering import cosines
from bloomdiff.report.explorer.pictures import Picture
from bloomdiff.report.explorer.thumbnails import limited_uris
from bloomdiff.stages.inputs import FoldRows
from bloomdiff.stages.project import Project

MOST_CHARACTERS = 4_500_000  # of all rendered cells: the whole page stays under 15 MB


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


def rendered(
    project: Project, rows: FoldRows, synthetic: Mapping[str, SyntheticSet]
) -> dict[str, dict[int, Picture]]:
    """Generator to row of its synthetic cells to their images, as far as the page can hold them.

    Raises
    ------
    InputError
        The images are of other synthetic cells.
    LeakageError
        The decoder was fitted on test cells.
    """
    found: dict[str, dict[int, Picture]] = {}
    for name, own in synthetic.items():
        path = project.renders / f"{name}.parquet"
        if not path.exists():
            continue
        drawn = SyntheticSet.load(path)
        if drawn.header.get("asked") != _digest(own):
            raise InputError(str(path), "shows other synthetic cells", "run `dvc repro render`")
        assert_disjoint(rows.test.group, drawn, what=f"the decoder of {rows.name}")
        cells = drawn.rows["cell"].to_numpy()
        uris = limited_uris(images_of(drawn), MOST_CHARACTERS // len(synthetic))
        near = cosines(own.X[cells], drawn.X)
        found[name] = {
            int(cell): Picture(uri, float(cosine))
            for cell, uri, cosine in zip(cells, uris, near, strict=True)
            if uri
        }
    return found


def _digest(own: SyntheticSet) -> str:
    return hashlib.sha256(np.ascontiguousarray(own.X).tobytes()).hexdigest()
