"""What the published sets have in common: folders named by the codes of their classes."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bloomdiff.data.importers.paths import find_images
from bloomdiff.data.vocabulary import class_of_code, codes
from bloomdiff.errors import InputError, raise_all

_DEPTH = 3  # archives wrap their content in a folder or two


@dataclass(frozen=True, slots=True)
class ClassFolder:
    """A folder of one class.

    Attributes
    ----------
    name
        The class by the vocabulary.
    path
        Where it is.
    images
        Visible images at any depth, sorted; at least one.
    """

    name: str
    path: Path
    images: list[Path]


def find_folder(path: Path, wanted: frozenset[str], expected: str) -> Path:
    """The outermost folder, `path` or at most three below, that holds a wanted one.

    Parameters
    ----------
    path
        What the user named.
    wanted
        Names, in lower case, of folders of which it must hold at least one.
    expected
        The layout, for the message.
    """
    if not path.is_dir():
        raise InputError(str(path), "is not a folder", f"give the folder that holds {expected}")
    level = [path]
    for _ in range(_DEPTH + 1):
        for folder in level:
            if any(child.name.lower() in wanted for child in visible_folders(folder)):
                return folder
        level = [child for folder in level for child in visible_folders(folder)]
    raise InputError(
        str(path), f"holds no {expected}", "give the folder as it was downloaded and unpacked"
    )


def visible_folders(path: Path) -> list[Path]:
    """Folders in a folder, sorted, without hidden ones and ``__MACOSX``."""
    return sorted(
        child
        for child in path.iterdir()
        if child.is_dir() and not child.name.startswith(".") and child.name != "__MACOSX"
    )


def class_folders(path: Path, source: str) -> list[ClassFolder]:
    """Folders of a source's classes in `path` or at most three below.

    Raises
    ------
    InputError
        There is none, one of them holds no image, or a folder beside them is of no class: each of
        these is told.
    """
    told = codes(source)
    some = ", ".join(dict.fromkeys(told[:4]))
    expected = f"folder named by a class of {source} ({some}, ...)"
    root = find_folder(path, frozenset(code.lower() for code in told), expected)
    folders = []
    problems: list[InputError] = []
    for child in visible_folders(root):
        name = class_of_code(source, child.name)
        if name is None:
            problems.append(
                InputError(str(child), f"is no class of {source}", f"expected {', '.join(told)}")
            )
        elif images := find_images(child):
            folders.append(ClassFolder(name, child, images))
        else:
            problems.append(InputError(str(child), "holds no image", "unpack it again"))
    raise_all(problems)
    return folders


def read_table(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Row numbers, from 1, and rows of a CSV file; a file that is none is an `InputError`."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield from enumerate(csv.reader(stream), start=1)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(str(path), f"cannot be read ({error})", "give a CSV file") from None


def file_name(path: str) -> str:
    """The last name of a path of any system."""
    return PurePosixPath(path.strip().replace("\\", "/")).name
