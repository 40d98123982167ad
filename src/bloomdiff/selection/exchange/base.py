"""The `Format` contract: writes a queue for an annotation tool and reads the tool's answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from bloomdiff.errors import InputError, raise_all
from bloomdiff.registry import Registry
from bloomdiff.selection.queue import Queue

UNLABELLED = "unlabelled"
"""Class of a cell that nobody has labelled yet, in formats where each box needs one."""
BoxEdges = tuple[float, float, float, float]  # x, y, width, height in pixels


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
        Sorted.
    whole
        Whether every image is the crop of one cell: classes are given to images, not boxes.
    crops
        Folder that `Shown.crop` is relative to.
    """

    cells: list[Shown]
    classes: list[str]
    whole: bool
    crops: Path

    def by_image(self) -> Iterator[tuple[str, list[Shown]]]:
        """Images in the order of their first cell, with their cells."""
        groups: dict[str, list[Shown]] = {}
        for cell in self.cells:
            groups.setdefault(cell.image, []).append(cell)
        yield from groups.items()

    @classmethod
    def of(cls, queue: Queue, data: Path, fields: Path | None = None) -> Sheet:
        """Lay a queue out, on crops, or on fields of view where their folder is given.

        Raises
        ------
        InputError
            A cell has no field, its field's image is missing, or its box lies outside of it; all
            of them are told.
        """
        rows = queue.table.to_dict(orient="records")
        sizes: dict[str, tuple[int, int]] = {}
        cells, problems = [], []
        for row in rows:
            image, size = row["path"], (int(row["width"]), int(row["height"]))
            box: BoxEdges = (0.0, 0.0, float(size[0]), float(size[1]))
            if fields is not None:
                try:
                    image = _field_of(row)
                    if image not in sizes:
                        sizes[image] = _size(fields / image)
                    size = sizes[image]
                    x, y, w, h = (float(row[f"box_{k}"]) for k in ("x", "y", "width", "height"))
                    box = (x, y, w, h)
                    check_box(f"cell {row['cell_id']!r}", box, size)
                except InputError as error:
                    problems.append(error)
                    continue
            cells.append(
                Shown(
                    row["cell_id"],
                    int(row["rank"]),
                    row["predicted"],
                    float(row["confidence"]),
                    row["reason"],
                    image,
                    size,
                    box,
                    row["path"],
                )
            )
        raise_all(problems)
        return cls(cells, sorted(queue.classes), fields is None, data)


def _field_of(row: dict[Hashable, Any]) -> str:
    field = row.get("field")
    if not isinstance(field, str) or not field:
        raise InputError(
            f"cell {row['cell_id']!r}", "was not cut from a field of view", "leave --fields out"
        )
    return field


def _size(path: Path) -> tuple[int, int]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, UnidentifiedImageError):
        raise InputError(str(path), "is no readable image", "name the folder of fields") from None


def check_box(where: str, box: BoxEdges, size: tuple[int, int]) -> None:
    """Refuse a box that is no rectangle inside an image of that width and height.

    Half a pixel outside is the rounding of annotation tools.
    """
    x, y, width, height = box
    told = f"box {[round(v, 2) for v in box]}"
    if not (width > 0 and height > 0):
        raise InputError(where, f"{told} has no positive size", "mend the box")
    if x < -0.5 or y < -0.5 or x + width > size[0] + 0.5 or y + height > size[1] + 0.5:
        raise InputError(where, f"{told} leaves the {size[0]}x{size[1]} image", "mend the box")


@dataclass(frozen=True)
class Answer:
    """A label that came back.

    Attributes
    ----------
    where
        File and place in it, for messages.
    label
        The class as written.
    cell_id
        Whose label it is; '' where the tool dropped it.
    image, box
        What the label was put on, to find the cell where `cell_id` is missing.
    """

    where: str
    label: str
    cell_id: str = ""
    image: str = ""
    box: BoxEdges | None = None


class Format(ABC):
    """An annotation tool's files.

    Attributes
    ----------
    name
        Name in the registry.
    file
        Name of the file, or of the folder, that is written.
    answers
        Whether labels come back in it.
    """

    name: ClassVar[str]
    file: ClassVar[str]
    answers: ClassVar[bool] = True

    @abstractmethod
    def write(self, sheet: Sheet, path: Path) -> None:
        """Write the queue to `path`, atomically."""

    def read(self, path: Path) -> list[Answer]:
        """Labels in a file that came back; cells that nobody labelled are left out.

        Raises
        ------
        InputError
            The file is not of this format; all problems are told.
        """
        raise InputError(str(path), f"format {self.name!r} brings no labels back", "name another")


FORMATS: Registry[type[Format]] = Registry("format")


def read_text(path: Path) -> str:
    """Text of a file; a missing or undecodable one is an `InputError`."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise InputError(
            str(path), f"cannot be read ({reason})", "name the exported file"
        ) from None


def is_empty(label: str) -> bool:
    """Whether nobody has given this label."""
    return label in ("", UNLABELLED)
