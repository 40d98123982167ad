"""AML-Cytomorphology_LMU (Matek et al. 2019), as the Cancer Imaging Archive hands it out.

Layout: ``AML-Cytomorphology/<CODE>/<CODE>_0001.tiff`` beside ``annotations.dat``, whose rows are
``BAS/BAS_0001.tiff BAS nan nan``: file, class, and the classes by two later annotators of a part
(doi:10.7937/tcia.2019.36f5o9ld). No patient is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bloomdiff.data.importers.base import IMPORTERS, Importer
from bloomdiff.data.importers.layouts import class_folders
from bloomdiff.data.importers.paths import read_lines
from bloomdiff.data.records import Record
from bloomdiff.data.vocabulary import class_of_code
from bloomdiff.errors import BloomDiffError, InputError, raise_all

_ANNOTATIONS = "annotations.dat"


@IMPORTERS.register("matek-2019")
class Matek2019Importer(Importer):
    """Reads ``<CODE>/*.tiff``; ``annotations.dat``, if it is there, must agree."""

    name = "matek-2019"
    summary = "AML-Cytomorphology_LMU: 15 classes of blood cells, TIFF"

    @property
    def source(self) -> str:
        """The set's name."""
        return self.name

    def records(self, path: Path) -> Iterator[Record]:
        """Yield one record an image, labelled by its folder."""
        folders = class_folders(path, self.name)
        told = _annotations(folders[0].path.parent)
        problems: list[BloomDiffError] = []
        records = []
        for folder in folders:
            for file in folder.images:
                name = f"{folder.path.name}/{file.name}"
                if told and told.get(name) != folder.name:
                    problems.append(
                        InputError(
                            str(file),
                            f"is {told.get(name, 'not told of')} in {_ANNOTATIONS}",
                            "restore the file to its folder",
                        )
                    )
                records.append(Record(name, file, folder.name))
        raise_all(problems)
        yield from records


def _annotations(root: Path) -> dict[str, str]:
    """File to class of the vocabulary, by the table beside the class folders or above them."""
    files = [folder / _ANNOTATIONS for folder in (root, root.parent)]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return {}
    told: dict[str, str] = {}
    for number, line in enumerate(read_lines(file), start=1):
        words = line.split()
        if not words:
            continue
        name = class_of_code("matek-2019", words[1]) if len(words) == 4 else None
        if name is None:
            raise InputError(
                f"{file}:{number}",
                f"{line[:60]!r} is no file with three classes",
                "restore the file or delete it",
            )
        told[words[0]] = name
    return told
