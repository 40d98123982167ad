"""What an importer yields, and the worker that turns it into image files and table rows.

This module stays light, since every worker process loads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bloomdiff.data.images import (
    Pixels,
    decode_rgb,
    encode_png,
    pixel_digest,
    read_bytes,
)
from bloomdiff.errors import BloomDiffError, InputError


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in a field of view: left, top, width, height in pixels.

    With `relative`, all four are fractions of the field's width and height instead.
    """

    x: float
    y: float
    width: float
    height: float
    relative: bool = False

    def in_pixels(self, width: int, height: int) -> Box:
        """The same box in the pixels of a field of that size."""
        if not self.relative:
            return self
        return Box(self.x * width, self.y * height, self.width * width, self.height * height)


@dataclass(frozen=True, slots=True)
class Record:
    """One cell to be imported.

    Attributes
    ----------
    name
        Relative POSIX path with a suffix, unique in the source, such as ``BAS/BAS_0001.tiff``:
        the cell's id and its file below ``images/<source>/`` are made of it.
    image
        The file that shows the cell, or its pixels, uint8 `(h, w, 3)` or `(h, w)`.
    label
        The class by the source's own name or code; '' is an unlabelled cell.
    group
        Patient or slide by the source's own name; '' where the cell stands alone.
    split
        '', ``train``, ``val`` or ``test``.
    box
        Where the cell lies in `image`, which is a field of view then; None for the whole image.
    field
        Name of the field of view.
    field_size
        Width and height of the field as its annotation tells them, checked against the file.
    margin
        Surroundings of the cell to be kept, see `crop`.
    score, proba
        What a detector says, where one does: its score, and class to probability.
    """

    name: str
    image: Path | Pixels
    label: str
    group: str = ""
    split: str = ""
    box: Box | None = None
    field: str = ""
    field_size: tuple[int, int] | None = None
    margin: float = 0.0
    score: float | None = None
    proba: Mapping[str, float] | None = None


# In the order of CELL_COLUMNS and BOX_COLUMNS; then `Record.score` and `Record.proba`.
Row = tuple[str | int | float | Mapping[str, float] | None, ...]


@dataclass(slots=True)
class Written:
    """What became of some records: rows of the manifest, remarks, and problems that end it."""

    rows: list[Row]
    remarks: list[str]
    problems: list[BloomDiffError]


MIN_BOX_SIDE = 2.0  # pixels: what is thinner shows no cell


def write_records(work: Sequence[tuple[Record, ...]], *, images: Path, source: str) -> Written:
    """Write cells below ``images/<source>``, hash and describe them.

    Whole files are copied byte for byte; crops and arrays become PNG.

    Parameters
    ----------
    work
        The records of one image each: it is decoded once.
    images
        The folder that becomes ``images/<source>``; it exists, and so do its subfolders.
    source
        Name of the source.
    """
    written = Written([], [], [])
    for records in work:
        image = records[0].image
        try:
            data, rgb = _load(image)
        except BloomDiffError as error:
            written.problems.append(error)
            continue
        for record in records:
            try:
                _write_one(record, data, rgb, images, source, written)
            except BloomDiffError as error:
                written.problems.append(error)
    return written


def _write_one(
    record: Record, data: bytes | None, rgb: Pixels, images: Path, source: str, written: Written
) -> None:
    place: tuple[str | float | None, ...] = ("", None, None, None, None)
    if record.box is not None:
        _check_field_size(record, rgb)
        box, remark = clip(record.box, rgb.shape[1], rgb.shape[0])
        if remark:
            written.remarks.append(f"{record.image}: {record.label or 'cell'} {remark}")
        if box is None:
            return
        rgb, data = crop(rgb, box, record.margin), None
        place = (record.field, box.x, box.y, box.width, box.height)
    with open(f"{images}/{record.name}", "wb") as stream:  # a `Path` takes a quarter more
        stream.write(encode_png(rgb) if data is None else data)
    cell = (
        f"{source}/{record.name}",
        f"images/{source}/{record.name}",
        record.label,
        f"{source}/{record.group or record.name}",
        record.split,
        source,
        rgb.shape[1],
        rgb.shape[0],
        pixel_digest(rgb),
    )
    written.rows.append((*cell, *place, record.score, record.proba))


def _load(image: Path | Pixels) -> tuple[bytes | None, Pixels]:
    """The file's bytes, where there is a file, and its pixels."""
    if isinstance(image, Path):
        data = read_bytes(image)
        return data, decode_rgb(data, str(image))
    return None, np.repeat(image[:, :, np.newaxis], 3, axis=2) if image.ndim == 2 else image


def _check_field_size(record: Record, rgb: Pixels) -> None:
    found = (rgb.shape[1], rgb.shape[0])
    if record.field_size is not None and record.field_size != found:
        told = "x".join(map(str, record.field_size))
        raise InputError(
            str(record.image),
            f"is {found[0]}x{found[1]} pixels but its annotation says {told}",
            "restore the image that was annotated, unscaled and unturned",
        )


def clip(box: Box, width: int, height: int) -> tuple[Box | None, str]:
    """Cut a box to a field of `width` by `height` pixels.

    Returns
    -------
    tuple
        The box in pixels, or None where less than `MIN_BOX_SIDE` of it is left; and a remark,
        '' where nothing had to be done.
    """
    given = box.in_pixels(width, height)
    corners = np.array([given.x, given.y, given.x + given.width, given.y + given.height])
    told = f"box {np.round(corners, 2).tolist()}"
    if not np.isfinite(corners).all() or min(given.width, given.height) < MIN_BOX_SIDE:
        return None, f"{told} is degenerate: skipped"
    limits = np.array([width, height, width, height])
    # Half a pixel outside is the rounding of annotation tools, not a box that leaves the image.
    outside = bool((corners < -0.5).any() or (corners > limits + 0.5).any())
    left, top, right, bottom = (float(edge) for edge in corners.clip(0, limits))
    if min(right - left, bottom - top) < MIN_BOX_SIDE:
        return None, f"{told} lies outside the {width}x{height} field: skipped"
    cut = replace(given, x=left, y=top, width=right - left, height=bottom - top)
    return cut, f"{told} leaves the {width}x{height} field: clipped" if outside else ""


def crop(field: Pixels, box: Box, margin: float) -> Pixels:
    """Cut the square around a box out of its field.

    The side is the box's longer side times `1 + 2 * margin`, so that the cell keeps its shape
    when an encoder scales the crop; a square that would leave the field is moved inside, and one
    that is larger than the field is cut to it. Nothing is padded.
    """
    height, width = field.shape[:2]
    side = max(1, round(max(box.width, box.height) * (1 + 2 * margin)))
    left = _start(box.x + box.width / 2, side, width)
    top = _start(box.y + box.height / 2, side, height)
    return np.ascontiguousarray(field[top : top + side, left : left + side])


def _start(centre: float, side: int, length: int) -> int:
    return max(0, min(round(centre - side / 2), length - side))
