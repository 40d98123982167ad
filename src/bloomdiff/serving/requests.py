"""What a request may hold: images as bytes, base64 or paths, or embeddings."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bloomdiff.data.images import decode_rgb, read_rgb
from bloomdiff.errors import InputError

_MEND = "give one column: image (bytes, base64 or a path) or embedding (numbers)"


def images_of(table: pd.DataFrame) -> list[npt.NDArray[np.uint8]] | None:
    """Decode the column `image`; None where there is none.

    Raises
    ------
    InputError
        An image that cannot be read; the message names its row.
    """
    if "image" not in table:
        return None
    return [_image(value, f"image {row}") for row, value in enumerate(table["image"])]


def embeddings_of(table: pd.DataFrame) -> npt.NDArray[np.float32]:
    """The column `embedding`, or all columns where they are numbers, as float32 `(n, d)`.

    Raises
    ------
    InputError
        Neither, or rows of different lengths.
    """
    try:
        if "embedding" in table:
            rows = [np.asarray(row, dtype=np.float32) for row in table["embedding"]]
            return np.stack(rows) if rows else np.empty((0, 0), np.float32)
        return table.to_numpy(dtype=np.float32)
    except (TypeError, ValueError):
        raise InputError("the request", "holds neither images nor embeddings", _MEND) from None


def _image(value: Any, where: str) -> npt.NDArray[np.uint8]:
    if isinstance(value, bytes | bytearray):
        return decode_rgb(bytes(value), where)
    if isinstance(value, Path):
        return read_rgb(value)
    if not isinstance(value, str) or not value:
        raise InputError(where, f"is {value!r}"[:80], _MEND)
    text = value.partition("base64,")[2] if value.startswith("data:") else value
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return read_rgb(value)
    # A short path may be made of base64's letters; images are longer than any file name.
    return decode_rgb(data, where) if len(text) > 255 else read_rgb(value)
