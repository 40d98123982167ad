"""Bone-Marrow-Cytomorphology (Matek et al. 2021), as the Cancer Imaging Archive hands it out.

Layout: ``<CODE>/0001-1000/<CODE>_00001.jpg``, or ``<CODE>/<CODE>_00001.jpg`` for small classes
(doi:10.7937/TCIA.AXH3-T579). No patient is told, and neighbouring crops may overlap.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bloomdiff.data.importers.base import IMPORTERS, Importer, ImporterParams
from bloomdiff.data.importers.layouts import class_folders, file_name, read_table
from bloomdiff.data.records import Record
from bloomdiff.errors import InputError


class BoneMarrowParams(ImporterParams):
    """Options of the `bone-marrow` importer.

    Attributes
    ----------
    test_split
        A CSV file whose first column names the images under test, such as DinoBloom's
        ``dinov2/eval/miccai/splits/bm_test.csv``: they become the official test split, all others
        the training split.
    """

    test_split: Path | None = None


@IMPORTERS.register("bone-marrow")
class BoneMarrowImporter(Importer):
    """Reads ``<CODE>/**/*.jpg``."""

    name = "bone-marrow"
    summary = "Bone-Marrow-Cytomorphology: 21 classes of marrow cells, JPEG"
    Params = BoneMarrowParams
    params: BoneMarrowParams

    @property
    def source(self) -> str:
        """The set's name."""
        return self.name

    def records(self, path: Path) -> Iterator[Record]:
        """Yield one record an image, labelled by its folder."""
        folders = class_folders(path, self.name)
        files = [(folder, file) for folder in folders for file in folder.images]
        tested = self._tested({file.name for _, file in files})
        self.remark(f"{path}: patients are not told and neighbouring crops may overlap")
        for folder, file in files:
            split = ""
            if tested:
                split = "test" if file.name in tested else "train"
            yield Record(f"{folder.path.name}/{file.name}", file, folder.name, split=split)

    def _tested(self, present: set[str]) -> set[str]:
        """Names of the images under test."""
        table = self.params.test_split
        if table is None:
            return set()
        told = {file_name(row[0]) for _, row in read_table(table) if row}
        tested = told & present
        if not tested:
            raise InputError(
                str(table),
                "names none of the images",
                "give a CSV file with their names in the first column",
            )
        # One row may be the heading.
        if len(tested) < len(told) - 1:
            self.remark(f"{table}: {len(told) - len(tested)} of its images are not here")
        return tested
