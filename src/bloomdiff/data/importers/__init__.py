"""Importers by name; importing this package registers all of them."""

from bloomdiff.data.importers.base import (
    IMPORTERS,
    Importer,
    ImporterParams,
    import_cells,
    make_importer,
)
from bloomdiff.data.importers.classes import ClassRules
from bloomdiff.data.importers.folder import FolderImporter
from bloomdiff.data.importers.records import Box, Record
from bloomdiff.data.importers.voc import VocImporter

__all__ = [
    "IMPORTERS",
    "Box",
    "ClassRules",
    "FolderImporter",
    "Importer",
    "ImporterParams",
    "Record",
    "VocImporter",
    "import_cells",
    "make_importer",
]
