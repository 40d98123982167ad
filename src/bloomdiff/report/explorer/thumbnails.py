"""Small pictures of cells as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from bloomdiff.data.images import Pixels, read_rgb

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 56  # pixels
LIMIT = 2000  # pictures in a page: about 3 MB
RENDERED_SIDE = 96


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


def limited_uris(images: Pixels, limit: int) -> list[str]:
    """Data URIs that together have at most `limit` characters.

    They are of lower quality where that is needed; where it does not suffice, the last ones are ''.

    Parameters
    ----------
    images
        uint8 RGB `(n, s, s, 3)`, shown at `RENDERED_SIDE` pixels at most.
    limit
        Characters.
    """
    from PIL import Image

    small = [Image.fromarray(image) for image in images]
    for image in small:
        image.thumbnail((RENDERED_SIDE, RENDERED_SIDE), Image.Resampling.LANCZOS)
    for quality in (70, 50, 30):
        uris = [data_uri(image, quality) for image in small]
        if sum(map(len, uris)) <= limit:
            return uris
    total = list(accumulate(map(len, uris)))
    return [uri if so_far <= limit else "" for uri, so_far in zip(uris, total, strict=True)]


def data_uri(image: Image, quality: int = 70) -> str:
    """A WebP data URI of a Pillow image."""
    stream = io.BytesIO()
    image.save(stream, format="WEBP", quality=quality, method=4)
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
