"""Raabin-WBC (Kouzehkanan et al. 2022): the double-labelled crops ``Train``, ``TestA``, ``TestB``.

Layout: ``Train/<Class>/95-8-10-1_1034_2.jpg``: smear, field and cell. The smear is the group; its
name is that of the folder of its fields in the uncropped part of the set. ``TestB`` comes from
another microscope and camera: it is imported alone, as a source of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from bloomdiff.data.importers.base import IMPORTERS, Importer, ImporterParams
from bloomdiff.data.importers.layouts import find_folder, visible_folders
from bloomdiff.data.importers.paths import find_images
from bloomdiff.data.records import Record
from bloomdiff.data.vocabulary import class_of_code, codes
from bloomdiff.errors import InputError

_SPLITS = {"train": "train", "testa": "test", "testb": ""}
_SMEAR = re.compile(r"(\d+-\d+-\d+-\d+)_\d+_\d+")


class RaabinParams(ImporterParams):
    """Options of the `raabin` importer.

    Attributes
    ----------
    part
        'a': ``Train`` and ``TestA`` with their official split; 'b': ``TestB``.
    """

    part: Literal["a", "b"] = "a"


@IMPORTERS.register("raabin")
class RaabinImporter(Importer):
    """Reads ``Train|TestA|TestB/<Class>/*.jpg``."""

    name = "raabin"
    summary = "Raabin-WBC: 5 classes of white blood cells, with an official split"
    Params = RaabinParams
    params: RaabinParams

    @property
    def source(self) -> str:
        """The set's name; that of its part from another microscope."""
        return self.name if self.params.part == "a" else f"{self.name}-testb"

    def records(self, path: Path) -> Iterator[Record]:
        """Yield one record an image, labelled by its folder, grouped by its smear."""
        packed = sorted(path.glob("**/*.rar")) if path.is_dir() else []
        try:
            root = find_folder(path, frozenset(_SPLITS), "folder Train, TestA or TestB")
        except InputError:
            if packed:
                raise InputError(
                    str(packed[0]), "is still packed", "unpack it beside, with `unar` or `7z x`"
                ) from None
            raise
        parts = {child.name.lower(): child for child in visible_folders(root)}
        wanted = ("train", "testa") if self.params.part == "a" else ("testb",)
        missing = [part for part in wanted if part not in parts]
        if missing:
            raise InputError(
                str(root), f"lacks the folder {missing[0]}", "unpack that archive of the set too"
            )
        if "testb" in parts and self.params.part == "a":
            self.remark(f"{parts['testb']}: another microscope, left out; import it by part=b")
        for name in sorted(set(parts) - set(_SPLITS)):
            self.remark(f"{parts[name]}: not of the double-labelled crops, left out")
        for part in wanted:
            yield from self._part(parts[part], _SPLITS[part])

    def _part(self, folder: Path, split: str) -> Iterator[Record]:
        ungrouped = 0
        for file in find_images(folder):
            below = file.relative_to(folder).parts[:-1]
            # Unpacking twice makes folders such as `Lymphocyte-1`.
            labels = [class_of_code(self.name, re.sub(r"-\d+$", "", part)) for part in below]
            label = next(filter(None, labels), None)
            if label is None:
                raise InputError(
                    str(file),
                    "lies in no class folder",
                    f"expected {', '.join(codes(self.name))}",
                )
            smear = _SMEAR.fullmatch(file.stem)
            ungrouped += smear is None
            group = smear[1] if smear else ""
            name = f"{folder.name}/{below[-1]}/{file.name}"
            yield Record(name, file, label, group=group, split=split)
        if ungrouped:
            self.remark(f"{folder}: {ungrouped} file names tell no smear; each is its own group")
