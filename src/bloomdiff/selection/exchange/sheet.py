"""A queue laid out for the annotator: each cell with the image, the box and the words it has."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bloomdiff.errors import BloomDiffError, InputError, raise_all
from bloomdiff.selection.queue import Queue

BoxEdges = tuple[float, float, float, float]  # x, y, width, height in pixels


SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations of an image that is stored on its side
_FOLDER = "name the folder that the manifest's column field is below"


@dataclass(frozen=True)
class Shown:
    """A cell as the annotator sees it.

    Attributes
    ----------
    cell_id, rank, predicted, confidence, reason
        From the queue.
    image
        Path of the image that shows it: its field of view, or its own crop.
    size
        Width and height of that image in pixels.
    box
        Where it lies there.
    crop
        Path of its own crop.
    """

    cell_id: str
    rank: int
    predicted: str
    confidence: float
    reason: str
    image: str
    size: tuple[int, int]
    box: BoxEdges
    crop: str


@dataclass(frozen=True)
class Sheet:
    """All the cells of a queue, and the classes to choose from.

    Attributes
    ----------
    cells
        In the order of the queue.
    classes
        In the order in which they are offered.
    whole
        Whether every image is the crop of one cell: classes are given to images, not boxes.
    crops
        Folder that `Shown.crop` is relative to.
    settled
        The expert's label of each cell that is out of the pool.
    """

    cells: list[Shown]
    classes: list[str]
    whole: bool
    crops: Path
    settled: Mapping[str, str] = field(default_factory=dict)

    def by_image(self) -> Iterator[tuple[str, list[Shown]]]:
        """Images in the order of their first cell, with their cells."""
        groups: dict[str, list[Shown]] = {}
        for cell in self.cells:
            groups.setdefault(cell.image, []).append(cell)
        yield from groups.items()

    @classmethod
    def of(
        cls,
        queue: Queue,
        data: Path,
        fields: Path | None = None,
        settled: Mapping[str, str] | None = None,
    ) -> Sheet:
        """Lay a queue out, on crops, or on fields of view where their folder is given.

        Raises
        ------
        InputError
            A cell has no field or no box, its image is missing, or its box lies outside of it;
            all of them are told.
        """
        sizes: dict[str, tuple[int, int]] = {}
        cells: list[Shown] = []
        problems: dict[str, BloomDiffError] = {}  # of a field once, not for each of its cells
        source: dict[str, str] = {}
        for row in queue.table.to_dict(orient="records"):
            try:
                if fields is None:
                    image, size = row["path"], _crop_size(row, data)
                    box = (0.0, 0.0, float(size[0]), float(size[1]))
                else:
                    image = _field_of(row)
                    # One picture would be shown for the cells of two.
                    if (other := source.setdefault(image, row["source"])) != row["source"]:
                        what = f"is in field {image!r}, as are cells of source {other!r}"
                        mend = "give the fields of a source names of their own"
                        where = f"cell {row['cell_id']!r} of {row['source']!r}"
                        raise InputError(where, what, mend)
                    if image not in sizes:
                        sizes[image] = _size(fields / image, _FOLDER)
                    size, box = sizes[image], _box_of(row)
                    check_box(f"cell {row['cell_id']!r}", box, size)
            except InputError as error:
                problems.setdefault(str(error), error)
                continue
            told = (row["predicted"], float(row["confidence"]), row["reason"])
            cells.append(
                Shown(row["cell_id"], int(row["rank"]), *told, image, size, box, row["path"])
            )
        raise_all([*problems.values()])
        return cls(cells, queue.classes, fields is None, data, settled or {})


def _number(row: dict[Hashable, Any], column: str) -> float:
    """A number of the manifest; NaN where there is none."""
    value = row.get(column)
    return math.nan if value is None or value == "" else float(value)


def _crop_size(row: dict[Hashable, Any], data: Path) -> tuple[int, int]:
    """Width and height of a cell's crop; the manifest need not tell them."""
    width, height = _number(row, "width"), _number(row, "height")
    if math.isfinite(width) and math.isfinite(height):
        return int(width), int(height)
    return _size(data / str(row["path"]), "restore the file or drop its row")


def _field_of(row: dict[Hashable, Any]) -> str:
    field = row.get("field")
    if not isinstance(field, str) or not field:
        raise InputError(
            f"cell {row['cell_id']!r}", "was not cut from a field of view", "leave --fields out"
        )
    return field


def _box_of(row: dict[Hashable, Any]) -> BoxEdges:
    x, y, width, height = (_number(row, f"box_{k}") for k in ("x", "y", "width", "height"))
    if any(map(math.isnan, (x, y, width, height))):
        raise InputError(
            f"cell {row['cell_id']!r}", "has no box in its field of view", "leave --fields out"
        )
    return x, y, width, height


def _size(path: Path, mend: str) -> tuple[int, int]:
    from PIL import ExifTags, Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            # Boxes are those of the upright image, which importers cut and annotation tools show.
            width, height = image.size
            turned = image.getexif().get(ExifTags.Base.Orientation) in SIDEWAYS
            return (height, width) if turned else (width, height)
    except (OSError, UnidentifiedImageError):
        raise InputError(str(path), "is no readable image", mend) from None


def check_box(where: str, box: BoxEdges, size: tuple[int, int]) -> None:
    """Refuse a box that is no rectangle inside an image of that width and height.

    Half a pixel outside is the rounding of annotation tools.
    """
    x, y, width, height = box
    told = f"box {[round(v, 2) for v in box]}"
    if not all(map(math.isfinite, box)):
        raise InputError(where, f"{told} is not finite", "mend the box")
    if not (width > 0 and height > 0):
        raise InputError(where, f"{told} has no positive size", "mend the box")
    if x < -0.5 or y < -0.5 or x + width > size[0] + 0.5 or y + height > size[1] + 0.5:
        raise InputError(where, f"{told} leaves the {size[0]}x{size[1]} image", "mend the box")
