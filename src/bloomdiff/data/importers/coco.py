"""COCO detection: one JSON file of images, categories and boxes.

Format: Lin et al., "Microsoft COCO: Common Objects in Context", *ECCV* 2014, and
https://cocodataset.org/#format-data.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ValidationError

from bloomdiff.data.importers.base import IMPORTERS, Importer
from bloomdiff.data.importers.boxes import BoxParams, Detection, FieldOfView, check_opinion
from bloomdiff.data.importers.paths import SPLITS, find_files, is_file, split_of, unreadable
from bloomdiff.data.records import Box, Record
from bloomdiff.data.schema import is_inside
from bloomdiff.errors import BloomDiffError, InputError, raise_all


class CocoParams(BoxParams):
    """Options of the `coco` importer.

    Attributes
    ----------
    images
        The folder that ``file_name`` is relative to, where it is not found by itself.
    """

    images: Path | None = None


class _Image(BaseModel):
    id: int | str
    file_name: str
    width: int | None = None
    height: int | None = None


class _Category(BaseModel):
    id: int | str
    name: str


class _Annotation(BaseModel):
    id: int | str | None = None
    image_id: int | str
    category_id: int | str
    bbox: tuple[float, float, float, float] | None = None  # of a crowd there may be none
    iscrowd: int | None = None
    score: float | None = None
    probabilities: dict[str, float] | None = None


class _Coco(BaseModel):
    images: list[_Image]
    categories: list[_Category]
    annotations: list[_Annotation]


@IMPORTERS.register("coco")
class CocoImporter(Importer):
    """Reads a COCO file, or a folder with ``instances_*.json`` or ``_annotations.coco.json``.

    The split is named by the file (``instances_train2017.json``) or by its folder. Annotations of
    crowds have no box of a single cell and are left out. A detector's ``score``, as in COCO's
    results, is kept, and so are ``probabilities``, class name to number, which COCO itself lacks.
    """

    name = "coco"
    summary = "COCO detection: a JSON file of boxes, and the fields of view"
    Params = CocoParams
    params: CocoParams

    def records(self, path: Path) -> Iterator[Record]:
        """Yield one record an annotation, field by field."""
        root = path if path.is_dir() else path.parent
        files = _annotation_files(path) if path.is_dir() else [path]
        if not files:
            raise InputError(str(path), "holds no COCO file", "give the path of the JSON file")
        problems: list[BloomDiffError] = []
        fields: list[FieldOfView] = []
        for file in files:
            coco = _read(file)
            folder = self._image_folder(file, coco)
            split = _split(file, root)
            fields += self._fields(file, coco, folder, root, split, problems)
        raise_all(problems)
        for field in fields:
            yield from field.cells(self.params)

    def _image_folder(self, file: Path, coco: _Coco) -> Path:
        if self.params.images is not None:
            return self.params.images
        stem = file.stem.removeprefix("instances_")
        near = (file.parent, file.parent.parent)
        folders = [base / name for base in near for name in ("", "images", f"images/{stem}", stem)]
        names = [image.file_name for image in coco.images[:1]]
        for folder in folders:
            if all(is_file(folder / name) for name in names):
                return folder
        raise InputError(
            str(file), f"its image {names[0]!r} is missing", "give --set images=FOLDER"
        )

    def _fields(
        self,
        file: Path,
        coco: _Coco,
        folder: Path,
        root: Path,
        split: str,
        problems: list[BloomDiffError],
    ) -> Iterator[FieldOfView]:
        labels = {category.id: category.name.strip() for category in coco.categories}
        images = {image.id: image for image in coco.images}
        objects: defaultdict[int | str, list[Detection]] = defaultdict(list)
        crowds = 0
        problems += _repeated(file, coco)
        for number, annotation in enumerate(coco.annotations):
            where = f"{file}: annotations.{number}"
            if annotation.category_id not in labels:
                wrong = f"category_id {annotation.category_id!r} is no category"
                problems.append(InputError(where, wrong, "add the category"))
            elif annotation.image_id not in images:
                wrong = f"image_id {annotation.image_id!r} is no image"
                problems.append(InputError(where, wrong, "add the image"))
            elif annotation.iscrowd:
                crowds += 1
            elif annotation.bbox is None:
                problems.append(InputError(f"{where}.bbox", "is missing", "add the box"))
            else:
                told = (annotation.score, annotation.probabilities)
                try:
                    check_opinion(where, *told)
                except InputError as error:
                    problems.append(error)
                found = Detection(labels[annotation.category_id], Box(*annotation.bbox), *told)
                objects[annotation.image_id].append(found)
        if crowds:
            self.remark(f"{file}: {crowds} annotation(s) of crowds were left out")
        for key, image in images.items():
            if not is_inside(image.file_name):
                problems.append(
                    InputError(f"{file}: image {key!r}", "its path leaves the folder", "mend it")
                )
            elif not is_file(folder / image.file_name):
                problems.append(
                    InputError(
                        str(folder / image.file_name),
                        "no such image",
                        "restore it or drop its entry",
                    )
                )
            size = (image.width, image.height) if image.width and image.height else None
            name = PurePosixPath(image.file_name).as_posix()
            # Splits may repeat file names; folders of one root cannot.
            inside = folder.is_relative_to(root)
            prefix = folder.relative_to(root) if inside else Path(split)
            yield FieldOfView(
                folder / image.file_name, (prefix / name).as_posix(), objects[key], split, size
            )


def _repeated(file: Path, coco: _Coco) -> Iterator[InputError]:
    """Ids that two entries of a kind share: one of them would be lost."""
    for kind in ("images", "categories", "annotations"):
        counts = Counter(entry.id for entry in getattr(coco, kind) if entry.id is not None)
        for key, count in counts.items():
            if count > 1:
                told = f"id {key!r} is there {count} times"
                yield InputError(f"{file}: {kind}", told, "give each an id of its own")


def _annotation_files(path: Path) -> list[Path]:
    files = find_files(path, ".json")
    named = [f for f in files if re.match(r"instances_|_annotations\.coco$", f.stem)]
    return named or files


def _read(file: Path) -> _Coco:
    try:
        return _Coco.model_validate_json(file.read_bytes())
    except OSError as error:
        raise unreadable(file, error) from None
    except ValidationError as error:
        problems = [
            InputError(
                f"{file}: {'.'.join(map(str, problem['loc'])) or 'the file'}",
                problem["msg"][:1].lower() + problem["msg"][1:],
                "mend the entry",
            )
            for problem in error.errors()
        ]
        raise_all(problems)
        raise


def _split(file: Path, root: Path) -> str:
    stem = re.sub(r"[\d_]+$", "", file.stem.removeprefix("instances_")).lower()
    split = SPLITS.get(stem, "") or split_of(file.relative_to(root).as_posix())
    # Roboflow's file lies in the folder of its split, which may itself be what was given.
    return split or SPLITS.get(file.absolute().parent.name.lower(), "")
