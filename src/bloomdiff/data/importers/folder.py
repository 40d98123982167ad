"""One folder per class, any depth below it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from bloomdiff.data.images import SUFFIXES, is_image
from bloomdiff.data.importers.base import IMPORTERS, Importer, ImporterParams
from bloomdiff.data.importers.records import Record
from bloomdiff.errors import BloomDiffError, InputError, raise_all

# Folders of these names above the classes are the official split.
SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def check_regex(pattern: str) -> str:
    """Refuse what is not a regular expression."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression ({error})") from None
    return pattern


Regex = Annotated[str, AfterValidator(check_regex)]


def find_images(path: Path) -> list[Path]:
    """Every image file below a folder, sorted by its relative path; hidden folders are skipped."""
    return sorted(
        file
        for file in path.rglob("*")
        if is_image(file)
        and file.is_file()
        and not any(_is_clutter(part) for part in file.relative_to(path).parts[:-1])
    )


def _is_clutter(folder: str) -> bool:
    return folder.startswith(".") or folder == "__MACOSX"  # what archives made on a Mac carry


class FolderParams(ImporterParams):
    """Options of the `folder` importer.

    Attributes
    ----------
    group
        A regular expression, searched in the path relative to PATH; its first group (or all it
        matches, where it has none) names the patient or slide.
    unlabelled
        Take every image as unlabelled, whatever its folder.
    """

    group: Regex = ""
    unlabelled: bool = False


@IMPORTERS.register("folder")
class FolderImporter(Importer):
    """Reads ``PATH/<class>/.../image``, or ``PATH/train|val|test/<class>/.../image``."""

    name = "folder"
    summary = "one folder per class, at the top or below train, val and test"
    Params = FolderParams
    params: FolderParams

    def records(self, path: Path) -> Iterator[Record]:
        """Yield one record an image; the first folder below PATH names the class."""
        if not path.is_dir():
            raise InputError(str(path), "is not a folder", "give the folder that holds the classes")
        files = find_images(path)
        if not files:
            raise InputError(str(path), "holds no image", f"put {', '.join(SUFFIXES)} files in it")
        self._tell_ignored(path)
        names = [file.relative_to(path).as_posix() for file in files]
        split = all(name.split("/")[0].lower() in SPLITS for name in names)
        problems: list[BloomDiffError] = []
        records = []
        for file, name in zip(files, names, strict=True):
            *folders, _ = name.split("/")
            label = "" if self.params.unlabelled else "".join(folders[split : split + 1])
            if not label and not self.params.unlabelled:
                problems.append(
                    InputError(str(file), "lies in no class folder", "move it into one")
                )
            group = self._group(name)
            if group is None:
                problems.append(
                    InputError(
                        str(file), f"is not matched by {self.params.group!r}", "mend --group"
                    )
                )
            official = SPLITS[folders[0].lower()] if split else ""
            records.append(Record(name, file, label, group=group or "", split=official))
        raise_all(problems)
        yield from records

    def _group(self, name: str) -> str | None:
        if not self.params.group:
            return ""
        match = re.search(self.params.group, name)
        if match is None:
            return None
        return match.group(1) if match.re.groups else match.group(0)

    def _tell_ignored(self, path: Path) -> None:
        others = Counter(
            file.suffix.lower() or file.name
            for file in path.rglob("*")
            if file.is_file() and not is_image(file) and not file.name.startswith(".")
        )
        for suffix, count in sorted(others.items()):
            self.remark(f"{path}: {count} {suffix} file(s) are no images and were left out")
