"""COCO detection files (Lin et al. 2014, https://cocodataset.org/#format-data)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from bloomdiff.data.schema import UNLABELLED
from bloomdiff.errors import BloomDiffError, InputError, raise_all
from bloomdiff.files import to_json
from bloomdiff.selection.exchange.base import FORMATS, Answer, Format, is_empty, read_text
from bloomdiff.selection.exchange.sheet import Sheet, check_box


class _Image(BaseModel):
    id: int
    file_name: str
    width: int = Field(gt=0, lt=2**31)
    height: int = Field(gt=0, lt=2**31)


class _Category(BaseModel):
    id: int
    name: str


class _Annotation(BaseModel):
    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    attributes: dict[str, Any] = {}


class _Coco(BaseModel):
    images: list[_Image]
    categories: list[_Category]
    annotations: list[_Annotation]


@FORMATS.register("coco")
class Coco(Format):
    """One JSON file; the category `UNLABELLED` waits to be replaced.

    The cell's id, the prediction and the reason are attributes, as CVAT writes them, and the
    prediction is no category, so that an untouched box never counts as a label.
    """

    name = "coco"
    file = "coco.json"

    def fill(self, sheet: Sheet, temporary: Path, path: Path) -> None:
        """Write images, categories and boxes."""
        categories = [UNLABELLED, *sheet.classes]
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, (name, cells) in enumerate(sheet.by_image(), start=1):
            width, height = cells[0].size
            images.append({"id": number, "file_name": name, "width": width, "height": height})
            for cell in cells:
                attributes = {
                    "cell_id": cell.cell_id,
                    "rank": cell.rank,
                    "predicted": cell.predicted,
                    "reason": cell.reason,
                }
                annotations.append(
                    {
                        "id": cell.rank,
                        "image_id": number,
                        "category_id": 1,
                        "bbox": list(cell.box),
                        "area": cell.box[2] * cell.box[3],
                        "segmentation": [],
                        "iscrowd": 0,
                        "attributes": attributes,
                    }
                )
        content = {
            "info": {"description": "cells to be labelled", "version": "1.0"},
            "licenses": [],
            "images": images,
            "categories": [
                {"id": i, "name": name, "supercategory": "cell"}
                for i, name in enumerate(categories, start=1)
            ],
            "annotations": annotations,
        }
        temporary.write_text(to_json(content), encoding="utf-8")

    def read(self, path: Path) -> list[Answer]:
        """Read categories and boxes."""
        try:
            coco = _Coco.model_validate_json(read_text(path))
        except ValidationError as error:
            raise_all(
                [
                    InputError(
                        f"{path}: {'.'.join(map(str, problem['loc'])) or 'the file'}",
                        problem["msg"][:1].lower() + problem["msg"][1:],
                        "export it again",
                    )
                    for problem in error.errors()[:20]
                ]
            )
            raise
        names = {category.id: category.name for category in coco.categories}
        images = {image.id: image for image in coco.images}
        answers: list[Answer] = []
        problems: list[BloomDiffError] = [
            InputError(f"{path}: {what} {number}", "is there twice", "give each an id of its own")
            for what, ids in (
                ("category", [category.id for category in coco.categories]),
                ("image", [image.id for image in coco.images]),
            )
            for number, count in Counter(ids).items()
            if count > 1
        ]
        seen: set[int] = set()
        for one in coco.annotations:
            where = f"{path}: annotation {one.id}"
            if one.id in seen:
                problems.append(InputError(where, "is there twice", "give each an id of its own"))
            elif one.category_id not in names:
                told = f"category_id {one.category_id} is no category"
                problems.append(InputError(where, told, "add the category"))
            elif one.image_id not in images:
                told = f"image_id {one.image_id} is no image"
                problems.append(InputError(where, told, "add the image"))
            else:
                image = images[one.image_id]
                size = (image.width, image.height)
                try:
                    check_box(where, one.bbox, size)
                except InputError as error:
                    problems.append(error)
                label, cell = names[one.category_id], one.attributes.get("cell_id")
                if not is_empty(label):
                    cell = "" if cell is None else str(cell)
                    answers.append(Answer(where, label, cell, image.file_name, one.bbox, size))
            seen.add(one.id)
        raise_all(problems)
        return answers
