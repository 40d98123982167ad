"""Images that a decoder drew of synthetic cells, as the page holds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Picture(NamedTuple):
    """One rendered cell: a data URI, and how near the encoder finds it to what was asked for."""

    uri: str
    cosine: float


def pictures(
    rows: npt.NDArray[np.intp], found: Mapping[int, Picture]
) -> dict[str, list[Any]] | None:
    """Lists `image` ('' where none was drawn) and `cosine` of the rows; None without any image."""
    if not found:
        return None
    own = [found.get(int(row), Picture("", 0.0)) for row in rows]
    return {
        "image": [picture.uri for picture in own],
        "cosine": [round(picture.cosine, 3) for picture in own],
    }
