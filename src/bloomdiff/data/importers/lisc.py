"""LISC (Rezatofighi and Soltanian-Zadeh 2011): fields of view with an expert's masks.

Layout: ``Main Dataset/<type>/12.bmp`` of 720x576 pixels, and ``Ground Truth Segmentation/<type>/
areaforexpert1/12_expert.bmp`` of 712x568, which lacks 4 pixels on each side. Each connected part
of a mask is a cell. ``mixt`` does not tell which cell is of which type.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bloomdiff.data.images import read_rgb
from bloomdiff.data.importers.base import IMPORTERS, Importer
from bloomdiff.data.importers.boxes import BoxParams, Detection, FieldOfView
from bloomdiff.data.importers.layouts import find_folder, visible_folders
from bloomdiff.data.importers.paths import find_images
from bloomdiff.data.records import Box, Record
from bloomdiff.data.vocabulary import class_of_code
from bloomdiff.errors import BloomDiffError, InputError, raise_all

_FIELDS, _MASKS, _UNMASKED = (
    "main dataset",
    "ground truth segmentation",
    "more dataset without ground truth",
)
_BORDER = 4
_SPECK = 0.05  # parts smaller than this share of the field's largest are no cells


@IMPORTERS.register("lisc")
class LiscImporter(Importer):
    """Reads ``Main Dataset`` and ``Ground Truth Segmentation``."""

    name = "lisc"
    summary = "LISC: white blood cells of 5 classes in fields of view, cut out by their masks"
    Params = BoxParams
    params: BoxParams

    @property
    def source(self) -> str:
        """The set's name."""
        return self.name

    def records(self, path: Path) -> Iterator[Record]:
        """Yield one record a cell, field by field; a field is a group."""
        root = find_folder(path, frozenset({_FIELDS}), "folder 'Main Dataset'")
        parts = {child.name.lower(): child for child in visible_folders(root)}
        if _MASKS not in parts:
            raise InputError(
                str(root), "lacks the folder 'Ground Truth Segmentation'", "unpack the whole set"
            )
        if _UNMASKED in parts:
            count = len(find_images(parts[_UNMASKED]))
            self.remark(f"{parts[_UNMASKED]}: {count} fields have no mask and were left out")
        masks = {child.name.lower(): child for child in visible_folders(parts[_MASKS])}
        problems: list[BloomDiffError] = []
        fields = []
        for folder in visible_folders(parts[_FIELDS]):
            label = class_of_code(self.name, folder.name)
            if label is None:
                self.remark(f"{folder}: not of one type, left out")
                continue
            for file in find_images(folder):
                try:
                    boxes = _cells(file, _mask_of(file, masks.get(folder.name.lower())))
                except InputError as error:
                    problems.append(error)
                    continue
                name = f"{folder.name}/{file.name}"
                fields.append(FieldOfView(file, name, [Detection(label, box) for box in boxes]))
        raise_all(problems)
        for field in fields:
            yield from field.cells(self.params)


def _mask_of(file: Path, folder: Path | None) -> Path:
    found = sorted(folder.glob(f"**/{file.stem}_expert*.bmp")) if folder else []
    if len(found) != 1:
        raise InputError(
            str(file), f"has {len(found)} masks {file.stem}_expert.bmp", "unpack the whole set"
        )
    return found[0]


def _cells(file: Path, mask: Path) -> list[Box]:
    """Boxes of the mask's connected parts, in pixels of the field, largest first."""
    from PIL import Image
    from scipy import ndimage

    marked = read_rgb(mask).any(axis=2)
    with Image.open(file) as image:  # the header alone; a damaged body is told when it is read
        width, height = image.size
    border = (width - marked.shape[1]) // 2
    if marked.shape != (height - 2 * border, width - 2 * border) or border not in (0, _BORDER):
        raise InputError(
            str(mask),
            f"is {marked.shape[1]}x{marked.shape[0]} pixels, its field {width}x{height}",
            "restore both as they were published",
        )
    labels, _ = ndimage.label(marked)
    area = np.bincount(labels.ravel())[1:]
    if not area.size:
        raise InputError(str(mask), "marks no cell", "restore it as it was published")
    parts = ndimage.find_objects(labels)
    order = np.argsort(-area, kind="stable")
    return [
        Box(
            float(columns.start + border),
            float(rows.start + border),
            float(columns.stop - columns.start),
            float(rows.stop - rows.start),
        )
        for rows, columns in (parts[i] for i in order if area[i] >= _SPECK * area.max())
    ]
