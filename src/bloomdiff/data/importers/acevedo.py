"""The PBC set of Acevedo et al. 2020: ``PBC_dataset_normal_DIB.zip`` at Mendeley Data.

Layout: ``<folder>/<PREFIX>_123456.jpg`` in eight folders. The prefix tells finer classes than the
folder: SNE, BNE or NEUTROPHIL in ``neutrophil``, PMY, MY, MMY or IG in ``ig``. Parts of the set
with a folder a prefix are read as well. No patient is told (doi:10.17632/snkd93bnjr.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from bloomdiff.data.importers.base import IMPORTERS, Importer, ImporterParams
from bloomdiff.data.importers.layouts import ClassFolder, class_folders
from bloomdiff.data.records import Record
from bloomdiff.data.vocabulary import class_of_code, coarsen
from bloomdiff.errors import BloomDiffError, InputError, raise_all

# Byte-identical images of the published set that carry two labels.
_TWO_LABELS = frozenset({"BNE_191112", "EO_225902"})


class AcevedoParams(ImporterParams):
    """Options of the `acevedo` importer.

    Attributes
    ----------
    classes
        'fine': the classes of the file-name prefixes; 'folders': the eight of the folders.
    """

    classes: Literal["fine", "folders"] = "fine"


@IMPORTERS.register("acevedo")
class AcevedoImporter(Importer):
    """Reads ``<folder or prefix>/<PREFIX>_*.jpg``."""

    name = "acevedo"
    summary = "PBC of Acevedo et al.: 13 finer or 8 classes of blood cells, JPEG"
    Params = AcevedoParams
    params: AcevedoParams

    @property
    def source(self) -> str:
        """The set's name."""
        return self.name

    def records(self, path: Path) -> Iterator[Record]:
        """Yield one record an image, labelled by its prefix or folder."""
        problems: list[BloomDiffError] = []
        records = []
        for folder in class_folders(path, self.name):
            for file in folder.images:
                try:
                    label = self._label(folder, file)
                except InputError as error:
                    problems.append(error)
                    continue
                if file.stem in _TWO_LABELS:
                    self.remark(f"{file}: published with two labels, left out")
                    continue
                records.append(Record(f"{folder.path.name}/{file.name}", file, label))
        raise_all(problems)
        yield from records

    def _label(self, folder: ClassFolder, file: Path) -> str:
        prefix = file.name.split("_")[0]
        fine = class_of_code(self.name, prefix)
        if fine is None:
            raise InputError(
                str(file), f"has the prefix {prefix!r}, which is no class", "restore its name"
            )
        coarse = coarsen(fine, _FOLDERS)
        if coarse is None or folder.name not in (fine, coarse):
            raise InputError(
                str(file), f"is {fine} by its name but lies in {folder.path.name}", "put it back"
            )
        return fine if self.params.classes == "fine" else coarse


_FOLDERS = (
    "basophil",
    "eosinophil",
    "erythroblast",
    "granulocyte_immature",
    "lymphocyte",
    "monocyte",
    "neutrophil",
    "platelet",
)
