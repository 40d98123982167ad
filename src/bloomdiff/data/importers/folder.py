"""One folder per class, any depth below it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bloomdiff.data.images import SUFFIXES, is_image
from bloomdiff.data.importers.base import IMPORTERS, Importer, ImporterParams
from bloomdiff.data.importers.paths import SPLITS, Regex, find_files, find_group
from bloomdiff.data.records import Record
from bloomdiff.errors import BloomDiffError, InputError, raise_all


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
    """Reads ``PATH/<class>/.../image``, or ``PATH/train|val|test/<class>/.../image``.

    The folders above the classes count as the official split where every image lies below one
    that is named so. Where only some are, they could be either, and are refused.
    """

    name = "folder"
    summary = "one folder per class, at the top or below train, val and test"
    Params = FolderParams
    params: FolderParams

    def records(self, path: Path) -> Iterator[Record]:
        """Yield one record an image."""
        if not path.is_dir():
            raise InputError(str(path), "is not a folder", "give the folder that holds the classes")
        everything = find_files(path, "")
        files = [file for file in everything if is_image(file)]
        if not files:
            raise InputError(str(path), "holds no image", f"put {', '.join(SUFFIXES)} files in it")
        others = Counter(file.suffix.lower() or file.name for file in everything)
        for suffix, count in sorted(others.items()):
            if suffix not in SUFFIXES:
                self.remark(f"{path}: {count} {suffix} file(s) are no images and were left out")
        names = ["/".join(file.parts[len(path.parts) :]) for file in files]
        tops = {name.split("/")[0] for name in names if "/" in name}
        odd = sorted(top for top in tops if top.lower() not in SPLITS)
        if odd and len(odd) < len(tops) and not self.params.unlabelled:
            raise InputError(
                str(path),
                f"holds {', '.join(map(repr, odd))} beside {', '.join(sorted(tops - set(odd)))}",
                "move what is no split elsewhere, or rename the classes that are named like one",
            )
        split = all(name.split("/")[0].lower() in SPLITS for name in names)
        problems: list[BloomDiffError] = []
        records: list[Record] = []
        for file, name in zip(files, names, strict=True):
            try:
                records.append(self._record(file, name, split))
            except InputError as error:
                problems.append(error)
        raise_all(problems)
        yield from records

    def _record(self, file: Path, name: str, split: bool) -> Record:
        *folders, _ = name.split("/")
        classes = folders[1:] if split else folders
        if not classes and not self.params.unlabelled:
            raise InputError(str(file), "lies in no class folder", "move it into one")
        return Record(
            name,
            file,
            label="" if self.params.unlabelled else classes[0],
            group=find_group(self.params.group, name, file),
            split=SPLITS[folders[0].lower()] if split else "",
        )
