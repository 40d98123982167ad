"""MLL23 (Shetab Boushehri et al. 2025): one archive a class at Zenodo, record 14277609.

Layout, once unpacked: ``<class>/<class>/*.TIF`` or ``<class>/*.TIF``, with ``__MACOSX`` and ``._*``
left by the archives' maker. No patient is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bloomdiff.data.importers.base import IMPORTERS, Importer
from bloomdiff.data.importers.layouts import class_folders
from bloomdiff.data.records import Record


@IMPORTERS.register("mll23")
class Mll23Importer(Importer):
    """Reads ``<class>/**/*.TIF``."""

    name = "mll23"
    summary = "MLL23: 18 classes of blood cells, TIFF"

    @property
    def source(self) -> str:
        """The set's name."""
        return self.name

    def records(self, path: Path) -> Iterator[Record]:
        """Yield one record an image, labelled by its folder."""
        for folder in class_folders(path, self.name):
            for file in folder.images:
                yield Record(f"{folder.path.name}/{file.name}", file, folder.name)
