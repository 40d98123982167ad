"""Pascal VOC: an XML file of boxes for each field of view.

Layout and elements: Everingham et al., "The Pascal Visual Object Classes (VOC) Challenge",
*IJCV* 88, 303-338, 2010, and its development kit.
"""

from __future__ import annotations

import codecs
import csv
import math
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from bloomdiff.data.images import SUFFIXES
from bloomdiff.data.importers.base import IMPORTERS, Importer
from bloomdiff.data.importers.boxes import BoxParams, Detection, FieldOfView, check_opinion
from bloomdiff.data.importers.paths import (
    find_files,
    is_file,
    read_lines,
    split_of,
    unreadable,
)
from bloomdiff.data.records import Box, Record
from bloomdiff.errors import BloomDiffError, InputError, ParameterError, raise_all
from bloomdiff.registry import nearest


class VocParams(BoxParams):
    """Options of the `voc` importer.

    Attributes
    ----------
    types
        A CSV file whose first column names a field and whose second lists the types of its white
        cells, separated by commas. Then only white cells are imported, from the fields that have
        exactly one of them and exactly one type, which becomes its label.
    types_class
        The class of the objects that `types` speaks of.
    """

    types: Path | None = None
    types_class: str = "WBC"


@IMPORTERS.register("voc")
class VocImporter(Importer):
    """Reads ``Annotations/*.xml`` with ``JPEGImages/``, or XML files beside their images.

    Coordinates are taken as the edges of the box, so that its width is ``xmax - xmin``. The split
    is that of ``ImageSets/Main``, or of a folder named after one. An object's ``score`` or
    ``confidence``, which detectors add, is kept.
    """

    name = "voc"
    summary = "Pascal VOC: fields of view with a box for each cell"
    Params = VocParams
    params: VocParams

    def records(self, path: Path) -> Iterator[Record]:
        """Yield one record an object, field by field."""
        files = find_files(path, ".xml") if path.is_dir() else []
        if not files:
            raise InputError(
                str(path), "holds no XML file", "give the folder with Annotations and JPEGImages"
            )
        splits = _image_sets(path)
        problems: list[BloomDiffError] = []
        fields: list[FieldOfView] = []
        for file in files:
            try:
                fields.append(_read(file, path, splits))
            except InputError as error:
                problems.append(error)
        raise_all(problems)
        if self.params.types is not None:
            fields = self._typed(fields, _read_types(self.params.types))
        for field in fields:
            yield from field.cells(self.params)

    def _typed(self, fields: list[FieldOfView], types: dict[str, list[str]]) -> list[FieldOfView]:
        """Fields with one white cell and one type, reduced to that cell, labelled by that type."""
        wanted = self.params.types_class
        names = {found.label for field in fields for found in field.objects}
        if wanted not in names:
            raise ParameterError(
                f"types_class {wanted!r}", "has no object", nearest(wanted, sorted(names))
            )
        keys = _keys([field.name for field in fields], types, str(self.params.types))
        kept: list[FieldOfView] = []
        left_out: Counter[str] = Counter()
        for field in fields:
            cells = [found for found in field.objects if found.label == wanted]
            told = types[key] if (key := keys[field.name]) else []
            if len(cells) == len(told) == 1:
                kept.append(replace(field, objects=[replace(cells[0], label=told[0])]))
            elif len(cells) != 1:
                left_out[f"have {'several' if cells else 'no'} {wanted}"] += 1
            else:
                left_out[f"have {'several types' if told else 'no type'}"] += 1
        for reason, count in sorted(left_out.items()):
            self.remark(f"{self.params.types}: {count} field(s) {reason} and were left out")
        return kept


def _read(file: Path, root: Path, splits: dict[str, str]) -> FieldOfView:
    try:
        text = _decode(file.read_bytes())
    except OSError as error:
        raise unreadable(file, error) from None
    except (UnicodeError, LookupError) as error:
        raise InputError(
            str(file), f"is not in the encoding that it declares ({error})", "mend the declaration"
        ) from None
    if "<!DOCTYPE" in text or "<!ENTITY" in text:  # entities can be made to grow without bound
        raise InputError(str(file), "declares XML entities", "remove the DOCTYPE")
    try:
        annotation = ET.fromstring(text)
    except (ET.ParseError, UnicodeError) as error:
        raise InputError(str(file), f"is not XML ({error})", "restore the file") from None
    image = _find_image(file, annotation.findtext("filename") or "")
    objects = []
    for number, item in enumerate(annotation.iter("object"), start=1):
        label = (item.findtext("name") or "").strip()
        edges = [_number(item.findtext(f"bndbox/{key}")) for key in _EDGES]
        if not label or not all(math.isfinite(edge) for edge in edges):
            raise InputError(
                f"{file}: object {number}", "lacks a name or a box of numbers", "complete it"
            )
        left, top, right, bottom = edges
        where = f"{file}: object {number}"
        score = _score(where, item)
        check_opinion(where, score, None)
        objects.append(Detection(label, Box(left, top, right - left, bottom - top), score))
    # Where the folder of annotations itself is given, the images lie beside it.
    base = root if image.is_relative_to(root) else root.parent
    name = image.relative_to(base).as_posix()
    size = tuple(_number(annotation.findtext(f"size/{side}")) for side in ("width", "height"))
    return FieldOfView(
        image,
        name,
        objects,
        split=splits.get(file.stem, "") or split_of(name),
        # Some tools write no size, or zeros.
        size=(int(size[0]), int(size[1])) if all(0 < s < math.inf for s in size) else None,
    )


# How files begin that are not told by a declaration in plain ASCII; an UTF-16 one needs no mark.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
_DECLARED = re.compile(rb"""\s*<\?xml[^>]*\sencoding\s*=\s*["']([A-Za-z][A-Za-z0-9._-]*)["']""")


def _decode(data: bytes) -> str:
    """The text of an XML file: what is searched for entities is what is parsed."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding)
    found = _DECLARED.match(data)
    encoding = found[1].decode() if found else "utf-8"
    # A declaration that can be read byte by byte is not in UTF-16, though many programs say so.
    return data.decode("utf-8" if encoding.lower().startswith("utf-16") else encoding)


_EDGES = ("xmin", "ymin", "xmax", "ymax")


def _score(where: str, item: ET.Element) -> float | None:
    """A detector's score; None where there is none."""
    text = (item.findtext("score") or item.findtext("confidence") or "").strip()
    if text and not math.isfinite(_number(text)):
        raise InputError(where, f"score {text!r} is no number", "write 0 to 1")
    return float(text) if text else None


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def _find_image(file: Path, filename: str) -> Path:
    """The image of an annotation: by the name it tells, or else by the annotation's own."""
    told = PurePosixPath(filename.replace("\\", "/")).name  # a path is that of somebody's computer
    names = [told, *(file.stem + suffix for suffix in (*SUFFIXES, *map(str.upper, SUFFIXES)))]
    folders = [file.parent, *(file.parent.parent / name for name in ("JPEGImages", "images"))]
    for name in filter(None, names):
        for folder in folders:
            if is_file(folder / name):
                return folder / name
    raise InputError(
        str(file), f"its image {told or file.stem!r} is missing", "put it into JPEGImages"
    )


def _image_sets(path: Path) -> dict[str, str]:
    """Field to split, by ``ImageSets/Main/{train,val,test}.txt``."""
    # Where the folder of annotations itself is given, the sets lie beside it, as the images do.
    beside = path.absolute().parent / "ImageSets"
    if path.absolute().name == "Annotations" and beside.is_dir():
        path = beside
    files = [f for f in find_files(path, ".txt") if f.parts[-3:-1] == ("ImageSets", "Main")]
    found: dict[str, tuple[str, Path]] = {}
    for split in ("train", "val", "test"):
        for file in files:
            for line in read_lines(file) if file.name == f"{split}.txt" else ():
                other, where = found.setdefault(line.strip(), (split, file))
                if line.strip() and other != split:
                    told = f"lists {line.strip()!r}, as does {where}"
                    raise InputError(str(file), told, "leave it in one of them")
    return {name: split for name, (split, _) in found.items()}


def _read_types(path: Path) -> dict[str, list[str]]:
    """Field to the types of its white cells."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.reader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(str(path), f"cannot be read ({error})", "give a CSV file") from None
    for number, row in enumerate(rows, start=1):
        if row and len(row) != 2:
            raise InputError(
                f"{path} row {number}", f"has {len(row)} columns", "write field and types only"
            )
    types: dict[str, list[str]] = {}
    for number, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        told = row[0].strip()
        if told and not PurePosixPath(told).name:
            raise InputError(f"{path} row {number}", f"{told!r} names no field", "name its image")
        key = str(PurePosixPath(told).with_suffix("")) if told else ""
        if key in types:
            raise InputError(
                f"{path} row {number}", f"lists the field {told!r} again", "keep one row"
            )
        types[key] = [t.strip() for t in row[1].split(",") if t.strip()]
    return types


def _keys(fields: list[str], types: dict[str, list[str]], path: str) -> dict[str, str]:
    """The row of `types` that each field has, '' for none: by as much of its path as is written.

    Raises
    ------
    InputError
        A row that several fields could have.
    """
    names = Counter(PurePosixPath(key).name for key in types)
    # The table may tell folders that are not in the import.
    alone = {name: key for key in types if names[name := PurePosixPath(key).name] == 1}
    keys: dict[str, str] = {}
    for field in fields:
        parts = PurePosixPath(field).with_suffix("").parts
        endings = ("/".join(parts[-n:]) for n in range(len(parts), 0, -1))
        keys[field] = next((e for e in endings if e in types), alone.get(parts[-1], ""))
    owners: dict[str, str] = {}
    for field, key in keys.items():
        if key and (owner := owners.setdefault(key, field)) != field:
            told = f"may be {owner} or {field}"
            raise InputError(f"{path}: field {key!r}", told, "write its folder as well")
    return keys
