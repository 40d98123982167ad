"""Small pictures of cells as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bloomdiff.data.images import read_rgb

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 56  # pixels
LIMIT = 2000  # pictures in a page: about 3 MB


def thumbnail(path: Path) -> str:
    """The image at `path`, fitted into `SIDE` pixels, as a WebP data URI.

    Raises
    ------
    InputError
        The image is missing or damaged.
    """
    from PIL import Image

    image = Image.fromarray(read_rgb(path))
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return data_uri(image)


def data_uri(image: Image) -> str:
    """A WebP data URI of a Pillow image."""
    stream = io.BytesIO()
    image.save(stream, format="WEBP", quality=70, method=4)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()


def thumbnails(paths: Sequence[Path], wanted: Sequence[int]) -> list[str]:
    """Data URIs of the cells; '' for those beyond `LIMIT`.

    Parameters
    ----------
    paths
        Image of each cell.
    wanted
        How often each one is shown beside a synthetic cell: who is wanted most comes first.
    """
    order = sorted(range(len(paths)), key=lambda row: (-wanted[row], row))
    made = dict.fromkeys(range(len(paths)), "")
    made |= {row: thumbnail(paths[row]) for row in order[:LIMIT]}
    return list(made.values())
