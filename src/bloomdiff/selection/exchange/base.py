"""The `Format` contract: writes a queue for an annotation tool and reads the tool's answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bloomdiff.data.schema import UNLABELLED
from bloomdiff.errors import InputError
from bloomdiff.files import atomic_dir, atomic_file
from bloomdiff.registry import Registry
from bloomdiff.selection.exchange.sheet import BoxEdges, Sheet


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
    image, box, size
        What the label was put on, to find the cell where `cell_id` is missing: the image, the box
        in it, and the image's width and height.
    """

    where: str
    label: str
    cell_id: str = ""
    image: str = ""
    box: BoxEdges | None = None
    size: tuple[int, int] | None = None


class Format(ABC):
    """An annotation tool's files.

    Attributes
    ----------
    name
        Name in the registry.
    file
        Name of the file, or of the folder, that is written.
    folder
        Whether it is a folder.
    stale
        Glob of the files of an older folder that the new one need not have.
    answers
        Whether labels come back in it.
    most
        Cells that it shows at most; None for all of them.
    """

    name: ClassVar[str]
    file: ClassVar[str]
    folder: ClassVar[bool] = False
    stale: ClassVar[str] = ""
    answers: ClassVar[bool] = True
    most: ClassVar[int | None] = None

    @abstractmethod
    def fill(self, sheet: Sheet, temporary: Path, path: Path) -> None:
        """Write the queue into an empty file or folder that will take the place of `path`.

        Raises
        ------
        InputError
            An image is damaged, or `path` holds what must not be lost.
        """

    def opened(self, path: Path) -> AbstractContextManager[Path]:
        """The empty file or folder, put in place of `path` if the block succeeds."""
        return atomic_dir(path, stale=self.stale) if self.folder else atomic_file(path)

    def write(self, sheet: Sheet, path: Path) -> None:
        """Write the queue to `path`, atomically."""
        with self.opened(path) as temporary:
            self.fill(sheet, temporary, path)

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
