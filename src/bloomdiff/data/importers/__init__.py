"""Importers by name; importing this package registers all of them."""

from bloomdiff.data.importers import (
    acevedo,
    bone_marrow,
    coco,
    folder,
    lisc,
    matek2019,
    medmnist,
    mll23,
    raabin,
    table,
    voc,
    yolo,
)
from bloomdiff.data.importers.base import (
    IMPORTERS,
    Importer,
    ImporterParams,
    make_importer,
)
from bloomdiff.data.importers.classes import ClassRules
from bloomdiff.data.importers.importing import import_cells
from bloomdiff.data.records import Box, Record

__all__ = [
    "IMPORTERS",
    "Box",
    "ClassRules",
    "Importer",
    "ImporterParams",
    "Record",
    "import_cells",
    "make_importer",
]
