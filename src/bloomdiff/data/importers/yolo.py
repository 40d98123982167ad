"""YOLO: a text file of boxes for each field of view, in fractions of its size.

Layouts: https://docs.ultralytics.com/datasets/detect/ (``images/`` and ``labels/``, at the top or
below each split, with a ``data.yaml``) and Darknet's (text files beside the images, with a
``classes.txt`` or ``*.names``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bloomdiff.data.importers.base import IMPORTERS, Importer
from bloomdiff.data.importers.boxes import BoxParams, Detection, FieldOfView, check_opinion
from bloomdiff.data.importers.paths import find_files, find_images, read_lines, split_of
from bloomdiff.data.records import Box, Record
from bloomdiff.errors import BloomDiffError, InputError, raise_all
from bloomdiff.files import read_yaml


@IMPORTERS.register("yolo")
class YoloImporter(Importer):
    """Reads a folder of images with a label file each; an image without one has no object.

    A line is a class index and centre, width and height; or a class index and the corners of a
    polygon, whose bounding box is taken. A number more at its end is the detector's score, as
    Ultralytics writes it with ``save_conf``.
    """

    name = "yolo"
    summary = "YOLO: fields of view with a text file of boxes each"
    Params = BoxParams
    params: BoxParams

    def records(self, path: Path) -> Iterator[Record]:
        """Yield one record a line, field by field."""
        root = path if path.is_dir() else path.parent
        classes = _class_names(path)
        images = find_images(root)
        if not images:
            raise InputError(str(path), "holds no image", "give the folder with images and labels")
        texts = {file.with_suffix(".txt"): file for file in find_files(root, ".txt")}  # or .TXT
        label_files = {image: texts.get(_label_file(image, root)) for image in images}
        orphans = set(_files_in_labels(root)) - set(label_files.values())
        looked_for = {_label_file(image, root) for image in images}
        folders = {file.parent for file in looked_for}
        orphans |= {
            file
            for plain, file in texts.items()
            if plain.parent in folders and plain not in looked_for and _holds_boxes(file)
        }
        problems: list[BloomDiffError] = [
            InputError(str(file), "has no image", "restore it or drop the labels")
            for file in sorted(orphans)
        ]
        bare = list(label_files.values()).count(None)
        if bare == len(images):
            raise InputError(str(path), "holds no label file", "put them into labels/")
        if bare:
            self.remark(f"{path}: {bare} image(s) have no label file and so no cell")
        fields: list[FieldOfView] = []
        for image, file in label_files.items():
            name = image.relative_to(root).as_posix()
            objects = _read(file, classes, problems) if file else []
            fields.append(FieldOfView(image, name, objects, split_of(name)))
        raise_all(problems)
        for field in fields:
            yield from field.cells(self.params)


def _class_names(path: Path) -> dict[int, str]:
    """Class index to name, by ``data.yaml`` or a list of names.

    Raises
    ------
    InputError
        None names them, or several do that do not agree: a class would come by another's name.
    """
    if path.is_dir():
        found = [*find_files(path, ".yaml"), *find_files(path, ".yml")]
        texts = find_files(path, ".txt")
        lists = [f for f in texts if f.name == "classes.txt"] + find_files(path, ".names")
    else:
        found, lists = [path], []
    contents = {file: read_yaml(file, exponents=False) for file in found}  # a class called 1e3
    named = {
        file: _from_yaml(file, content["names"])
        for file, content in contents.items()
        if isinstance(content, dict) and "names" in content
    }
    mend = "give the path of the one that is meant"
    if not named:
        named = {file: _from_lines(read_lines(file)) for file in sorted(lists)}
        mend = "import the folders one after the other, with --append"
    if not named:
        raise InputError(
            str(path), "does not name its classes", "add a data.yaml with `names`, or a classes.txt"
        )
    first, classes = next(iter(named.items()))
    for file, others in named.items():
        if others != classes:
            raise InputError(str(file), f"names other classes than {first}", mend)
    return classes


def _from_lines(lines: list[str]) -> dict[int, str]:
    return {index: line.strip() for index, line in enumerate(lines) if line.strip()}


def _from_yaml(file: Path, names: Any) -> dict[int, str]:
    try:
        if isinstance(names, str):  # whose letters would be taken for classes
            raise TypeError
        pairs = names.items() if isinstance(names, dict) else enumerate(names or ())
        return {int(index): str(name).strip() for index, name in pairs}
    except (TypeError, ValueError):
        raise InputError(f"{file}: names", "is no list of class names", "write one") from None


def _label_file(image: Path, root: Path) -> Path:
    """Where an image's boxes are: ``labels`` for the last ``images`` of its path, or beside it."""
    parts = list(image.relative_to(root).parts)
    for place in reversed(range(len(parts) - 1)):
        if parts[place] == "images":
            parts[place] = "labels"
            return (root / Path(*parts)).with_suffix(".txt")
    return image.with_suffix(".txt")


def _files_in_labels(root: Path) -> Iterator[Path]:
    for file in find_files(root, ".txt"):
        if "labels" in file.relative_to(root).parts[:-1] and file.name != "classes.txt":
            yield file


def _holds_boxes(file: Path) -> bool:
    """Whether a text file, which may be anything where it lies beside images, holds labels."""
    try:
        rows = [line.split() for line in read_lines(file, errors="replace") if line.strip()]
        return bool(rows) and all(len([float(word) for word in row]) > 4 for row in rows)
    except (InputError, ValueError):
        return False


def _read(file: Path, classes: dict[int, str], problems: list[BloomDiffError]) -> list[Detection]:
    objects: list[Detection] = []
    try:
        lines = read_lines(file, errors="replace")
    except InputError as error:
        problems.append(error)
        return objects
    for number, line in enumerate(lines, start=1):
        where = f"{file} row {number}"
        if not line.strip():
            continue
        try:
            index, *values = (float(word) for word in line.split())
        except ValueError:
            problems.append(InputError(where, f"{line!r} is not all numbers", "mend the line"))
            continue
        if index not in classes:
            known = f"0 to {max(classes)}" if classes else "none"
            problems.append(InputError(where, f"class {index:g} has no name", f"known: {known}"))
            continue
        score = values.pop() if len(values) >= 5 and len(values) % 2 else None
        try:
            check_opinion(where, score, None)
            objects.append(Detection(classes[int(index)], _box(where, values), score))
        except InputError as error:
            problems.append(error)
    return objects


def _box(where: str, values: list[float]) -> Box:
    if len(values) == 4:
        x, y, width, height = values
        return Box(x - width / 2, y - height / 2, width, height, relative=True)
    if len(values) >= 6 and len(values) % 2 == 0:
        across, down = values[::2], values[1::2]
        left, top = min(across), min(down)
        return Box(left, top, max(across) - left, max(down) - top, relative=True)
    told = f"has {len(values)} numbers after the class"
    raise InputError(where, told, "write centre, width and height")
