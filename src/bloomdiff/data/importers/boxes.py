"""What fields of view with boxes have in common: each object becomes a crop of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import Field

from bloomdiff.data.importers.base import ImporterParams
from bloomdiff.data.importers.paths import Regex, find_group
from bloomdiff.data.records import Box, Record


class BoxParams(ImporterParams):
    """Options of importers that cut cells out of fields of view.

    Attributes
    ----------
    margin
        Surroundings kept on each side of a cell, as a fraction of its box's longer side: the crop
        is the square of side ``(1 + 2 * margin) * longer side`` around the box's centre, moved to
        lie inside the field.
    group
        A regular expression, searched in the field's relative path, that names the patient or
        slide; without it, each field is a group.
    """

    margin: float = Field(default=0.1, ge=0, le=10, allow_inf_nan=False)
    group: Regex = ""


@dataclass(frozen=True)
class FieldOfView:
    """An annotated image.

    Attributes
    ----------
    image
        The file.
    name
        Its relative POSIX path.
    objects
        Class and box of each object, in the annotation's order.
    split
        Its official split or ''.
    size
        Width and height by the annotation, where it tells them.
    """

    image: Path
    name: str
    objects: Sequence[tuple[str, Box]]
    split: str = ""
    size: tuple[int, int] | None = None

    def cells(self, params: BoxParams) -> Iterator[Record]:
        """Yield a record an object, numbered by its place in the annotation."""
        stem = PurePosixPath(self.name).with_suffix("").as_posix()
        group = find_group(params.group, self.name, self.image) or self.name
        for number, (label, box) in enumerate(self.objects):
            yield Record(
                f"{stem}-{number}.png",
                self.image,
                label,
                group=group,
                split=self.split,
                box=box,
                field=self.name,
                field_size=self.size,
                margin=params.margin,
            )
