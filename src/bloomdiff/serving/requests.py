"""What a request may hold: images as bytes, base64 or paths, or embeddings."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bloomdiff.data.images import decode_rgb, read_bytes
from bloomdiff.errors import InputError

_MEND = "give one column: image (bytes, base64 or a path) or embedding (numbers)"
_QUOTED = 60  # signs of a value that an error shows
_MARKS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"RIFF")


def images_of(table: pd.DataFrame) -> list[npt.NDArray[np.uint8]] | None:
    """Decode the column `image`; None where there is none.

    Text is an image in base64 where what it stands for begins as an image file does, whatever its
    line breaks, its alphabet (that of URLs too) and its padding; else it is a path.

    Raises
    ------
    InputError
        An image that cannot be read; the message names its row.
    """
    if "image" not in table:
        return None
    return [_image(value, f"image {row}") for row, value in enumerate(table["image"])]


def embeddings_of(table: pd.DataFrame, dim: int) -> npt.NDArray[np.float32]:
    """The column `embedding` as float32 `(n, d)`; `(0, dim)` of an empty one.

    Raises
    ------
    InputError
        No such column, or rows that are not numbers or of different lengths.
    """
    if "embedding" not in table:
        columns = ", ".join(map(str, table.columns))
        told = f" (its columns: {_quoted(columns)})" if columns else ""
        raise InputError("the request", f"has no column image or embedding{told}", _MEND)
    rows = [_embedding(value, f"embedding {row}") for row, value in enumerate(table["embedding"])]
    for number, row in enumerate(rows):
        if len(row) != len(rows[0]):
            problem = f"has {len(row)} numbers, embedding 0 has {len(rows[0])}"
            raise InputError(f"embedding {number}", problem, "embed all cells with one encoder")
    return np.stack(rows) if rows else np.empty((0, dim), np.float32)


def _embedding(value: Any, where: str) -> npt.NDArray[np.float32]:
    try:
        row = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError):
        row = np.empty((), np.float32)
    if row.ndim != 1:
        raise InputError(where, f"is no list of numbers: {_quoted(value)}", _MEND)
    return row


def _image(value: Any, where: str) -> npt.NDArray[np.uint8]:
    if isinstance(value, bytes | bytearray):
        return decode_rgb(bytes(value), where)
    if not isinstance(value, str | Path) or not str(value).strip():
        raise InputError(where, f"is {_quoted(value)}", _MEND)
    text = str(value)
    data = _from_base64(text)
    if data is not None and (_begins_as_image(data) or text.startswith("data:")):
        return decode_rgb(data, where)
    try:
        data = read_bytes(text)
    except (InputError, ValueError) as error:  # the second where a path holds a null
        reason = error.problem if isinstance(error, InputError) else str(error)
        problem = f"is neither an image in base64 nor a file ({reason}): {_quoted(text)}"
        raise InputError(where, problem, _MEND) from None
    return decode_rgb(data, f"{where}, {_quoted(text)}")


def _from_base64(text: str) -> bytes | None:
    """Decode base64 or a data URI of it; None where it is neither."""
    if text.startswith("data:"):
        text = text.partition("base64,")[2]
    plain = "".join(text.split()).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _begins_as_image(data: bytes) -> bool:
    # Two letters are a weak mark: a BMP also has four zeros that writers reserve.
    return data.startswith(_MARKS) or (data[:2] == b"BM" and data[6:10] == bytes(4))


def _quoted(value: Any) -> str:
    """A value as Python writes it, cut to what fits on a line."""
    if isinstance(value, str):
        cut = repr(value[:_QUOTED])
        return f"{cut}... ({len(value):,} characters)" if len(value) > _QUOTED else cut
    told = repr(value)
    return told if len(told) <= _QUOTED else f"{told[:_QUOTED]}..."
