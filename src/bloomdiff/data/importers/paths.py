"""What importers read off paths: image files, official splits, patients or slides."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import AfterValidator

from bloomdiff.data.images import is_image
from bloomdiff.errors import InputError

# What data sets call the three parts of an official split.
SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def _check_regex(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression ({error})") from None
    return pattern


Regex = Annotated[str, AfterValidator(_check_regex)]


def find_files(path: Path, suffix: str) -> list[Path]:
    """Every file with that suffix below a folder, sorted by path; hidden ones are skipped.

    The suffix is given in lower case and found in any. Links to folders are followed, but not back
    into a folder that leads to them.

    Raises
    ------
    InputError
        A folder cannot be read: its cells, perhaps a class, would be missing without a word.
    """
    found: list[str] = []
    for folder, below, names in os.walk(path, followlinks=True, onerror=_refuse):
        below[:] = [name for name in below if not _hidden(name) and not _loops(path, folder, name)]
        found += [
            os.path.join(folder, name)
            for name in names
            if name.lower().endswith(suffix) and not _hidden(name)
        ]
    # The order of paths, folder by folder, without a `Path` to compare at every step.
    return [Path(name) for name in sorted(found, key=lambda name: name.split(os.sep))]


def is_file(path: Path) -> bool:
    """Whether a file is there; none is under a name that no system allows."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is longer than names may be, or holds a null
        return False


def find_images(path: Path) -> list[Path]:
    """Every image file below a folder, sorted by path; hidden ones are skipped."""
    return [file for file in find_files(path, "") if is_image(file)]


def read_lines(file: Path, *, errors: str = "strict") -> list[str]:
    """Lines of a text file in UTF-8; one that cannot be read, or decoded, is an `InputError`."""
    try:
        return file.read_text(encoding="utf-8-sig", errors=errors).splitlines()
    except UnicodeDecodeError as error:
        raise InputError(str(file), f"is not UTF-8 ({error})", "save it as UTF-8") from None
    except OSError as error:
        raise unreadable(file, error) from None


def unreadable(path: str | Path, error: OSError) -> InputError:
    """What is told of a file or folder that the system does not let us read."""
    told = f"cannot be read ({error.strerror})"
    return InputError(str(path), told, "restore it, or take it out of the data")


def _refuse(error: OSError) -> None:
    raise unreadable(str(error.filename), error)


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"  # what archives made on a Mac carry


def _loops(root: Path, folder: str, name: str) -> bool:
    """Whether a folder is a link to one that holds the link, or the way to it from the root."""
    if not os.path.islink(os.path.join(folder, name)):
        return False
    target = Path(folder, name).resolve()
    way = [Path(folder), *Path(folder).parents][: len(Path(folder).parts) - len(root.parts) + 1]
    return any(step.resolve().is_relative_to(target) for step in way)


def split_of(path: str) -> str:
    """The official split that a folder in a relative path is named after, or ''."""
    named = (SPLITS.get(part.lower(), "") for part in PurePosixPath(path).parent.parts)
    return next((split for split in named if split), "")


def find_group(pattern: str, name: str, file: Path) -> str:
    """Patient or slide in a relative path; '' where no pattern is given.

    Parameters
    ----------
    pattern
        A regular expression; its first group, or all it matches where it has none.
    name
        The relative path that is searched.
    file
        The file, for the message.

    Raises
    ------
    InputError
        The pattern does not match.
    """
    if not pattern:
        return ""
    match = re.search(pattern, name)
    found = match.group(1 if match.re.groups else 0) if match else ""
    if not found:
        raise InputError(str(file), f"no group: {pattern!r} does not match", "mend --group")
    return found
