"""What fields of view with boxes have in common: each object becomes a crop of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import Field

from bloomdiff.data.importers.base import ImporterParams
from bloomdiff.data.importers.paths import Regex, find_group
from bloomdiff.data.records import Box, Record
from bloomdiff.data.schema import MOST_OFF
from bloomdiff.errors import InputError


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


@dataclass(frozen=True, slots=True)
class Detection:
    """An object of a field of view.

    Attributes
    ----------
    label
        Its class; '' where none is told.
    box
        Where it is.
    score, proba
        What a detector says, where one does: its score, and class to probability.
    """

    label: str
    box: Box
    score: float | None = None
    proba: Mapping[str, float] | None = None


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
        In the annotation's order.
    split
        Its official split or ''.
    size
        Width and height by the annotation, where it tells them.
    """

    image: Path
    name: str
    objects: Sequence[Detection]
    split: str = ""
    size: tuple[int, int] | None = None

    def cells(self, params: BoxParams) -> Iterator[Record]:
        """Yield a record an object, numbered by its place in the annotation."""
        stem = PurePosixPath(self.name).with_suffix("").as_posix()
        group = find_group(params.group, self.name, self.image) or self.name
        for number, found in enumerate(self.objects):
            yield Record(
                f"{stem}-{number}.png",
                self.image,
                found.label,
                group=group,
                split=self.split,
                box=found.box,
                field=self.name,
                field_size=self.size,
                margin=params.margin,
                score=found.score,
                proba=found.proba,
            )


def check_opinion(where: str, score: float | None, proba: Mapping[str, float] | None) -> None:
    """Refuse a detector's score or class probabilities that are none.

    Raises
    ------
    InputError
        A value outside of [0, 1], or probabilities whose sum is not 1; it names `where`.
    """
    values = {} if score is None else {"score": score}
    values |= {f"probability of {name!r}": p for name, p in (proba or {}).items()}
    for name, value in values.items():
        if not 0 <= value <= 1:  # nor is NaN
            raise InputError(where, f"{name} {value:g} is no probability", "write 0 to 1")
    total = math.fsum((proba or {}).values())
    if proba is not None and abs(total - 1) > MOST_OFF:
        raise InputError(where, f"its probabilities add up to {total:.3f}", "make it 1")
