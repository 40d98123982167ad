"""Label Studio tasks with pre-annotations (https://labelstud.io/guide/tasks, /guide/predictions).

A cell on its own crop gets its class by `Choices`; cells on a field of view are `RectangleLabels`
with boxes in percent of the image. ``label_config.xml`` beside the tasks is the project's labelling
interface.
"""

from __future__ import annotations

import hashlib
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from bloomdiff.data.schema import UNLABELLED
from bloomdiff.errors import BloomDiffError, InputError, raise_all
from bloomdiff.files import to_json
from bloomdiff.selection.exchange.base import FORMATS, Answer, Format, is_empty, read_text
from bloomdiff.selection.exchange.sheet import BoxEdges, Sheet, Shown, check_box

LOCAL_FILES = "/data/local-files/?d="
"""Label Studio serves its local storage under this address."""
TASKS, CONFIG = "tasks.json", "label_config.xml"
CONTROL = "class"
"""The control that asks for the class; a project may have others, which are none of it."""


@FORMATS.register("label-studio")
class LabelStudio(Format):
    """A folder with `TASKS` and `CONFIG`; what the model predicts is a pre-annotation.

    Pre-annotations are kept apart from annotations by Label Studio itself: only what the expert
    submitted comes back as a label.
    """

    name = "label-studio"
    file = "label-studio"
    folder = True

    def fill(self, sheet: Sheet, temporary: Path, path: Path) -> None:
        """Write tasks and labelling interface."""
        tasks = [
            _task(sheet, number, name, cells)
            for number, (name, cells) in enumerate(sheet.by_image(), start=1)
        ]
        (temporary / TASKS).write_text(to_json(tasks), encoding="utf-8")
        (temporary / CONFIG).write_text(label_config(sheet), encoding="utf-8")

    def read(self, path: Path) -> list[Answer]:
        """Read an export of kind JSON, or `TASKS` in a folder."""
        file = path / TASKS if path.is_dir() else path
        try:
            tasks = json.loads(read_text(file))
        except (ValueError, RecursionError) as error:  # a number of 5,000 digits, say
            raise InputError(str(file), f"is not JSON ({error})", "export it again") from None
        if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
            raise InputError(str(file), "is not a list of tasks", "export it as JSON, not JSON-MIN")
        # JSON-MIN has the labels beside the data; nothing in it would count as an annotation.
        if tasks and not any("data" in task for task in tasks):
            raise InputError(str(file), "holds no task's data", "export it as JSON, not JSON-MIN")
        answers: list[Answer] = []
        problems: list[BloomDiffError] = []
        for number, task in enumerate(tasks):
            where = f"{file}: task {task.get('id', number)}"
            try:
                answers += _answers(where, task)
            except InputError as error:
                problems.append(error)
            except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
                told = f"lacks what a task has ({error})"
                problems.append(InputError(where, told, "export it as JSON"))
        raise_all(problems)
        return answers


def label_config(sheet: Sheet) -> str:
    """The labelling interface, XML."""
    view = ET.Element("View")
    ET.SubElement(view, "Header", value="$reason")
    ET.SubElement(view, "Image", name="image", value="$image", zoom="true")
    kind, item = ("Choices", "Choice") if sheet.whole else ("RectangleLabels", "Label")
    control = ET.SubElement(view, kind, name=CONTROL, toName="image")
    names = sheet.classes if sheet.whole else [UNLABELLED, *sheet.classes]
    for name in names:
        ET.SubElement(control, item, value=name)
    ET.indent(view)
    return ET.tostring(view, encoding="unicode") + "\n"


def region_id(cell_id: str) -> str:
    """Label Studio keeps a region's id when a pre-annotation is accepted: it names the cell."""
    return hashlib.blake2b(cell_id.encode(), digest_size=8).hexdigest()


def _task(sheet: Sheet, number: int, image: str, cells: list[Shown]) -> dict[str, Any]:
    data: dict[str, Any] = {
        "image": LOCAL_FILES + quote(image),
        "reason": cells[0].reason if sheet.whole else f"{len(cells)} cells",
        "cells": {region_id(cell.cell_id): cell.cell_id for cell in cells},
        "reasons": {cell.cell_id: cell.reason for cell in cells},
    }
    result = [_region(sheet, cell) for cell in cells if cell.predicted or not sheet.whole]
    told = [cell.confidence for cell in cells if cell.predicted]
    prediction: dict[str, Any] = {"model_version": "bloomdiff", "result": result}
    if told:
        prediction["score"] = min(told)
    return {"id": number, "data": data, "predictions": [prediction] if result else []}


def _region(sheet: Sheet, cell: Shown) -> dict[str, Any]:
    width, height = cell.size
    region: dict[str, Any] = {
        "id": region_id(cell.cell_id),
        "from_name": CONTROL,
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
    }
    if sheet.whole:
        return region | {"type": "choices", "value": {"choices": [cell.predicted]}}
    x, y, w, h = cell.box
    value: dict[str, Any] = {
        "x": 100 * x / width,
        "y": 100 * y / height,
        "width": 100 * w / width,
        "height": 100 * h / height,
        "rotation": 0,
        "rectanglelabels": [cell.predicted or UNLABELLED],
    }
    if cell.predicted:
        region["score"] = cell.confidence
    return region | {"type": "rectanglelabels", "value": value}


def _answers(where: str, task: dict[str, Any]) -> list[Answer]:
    """Labels of the newest annotation that each annotator submitted."""
    data = task["data"]
    done = [one for one in task.get("annotations", []) if not one.get("was_cancelled")]
    if not done:
        return []
    image = unquote(str(data["image"]).partition("?d=")[2] or str(data["image"]))
    cells = {str(region): str(cell) for region, cell in (data.get("cells") or {}).items()}
    answers = []
    newest: dict[str, dict[str, Any]] = {}
    for one in sorted(done, key=lambda one: str(one.get("updated_at", ""))):
        newest[str(one.get("completed_by"))] = one
    for region in (region for one in newest.values() for region in one["result"]):
        kind = region["type"]
        if region.get("from_name", CONTROL) != CONTROL:
            continue
        if kind not in ("choices", "rectanglelabels"):
            if kind.endswith("labels"):
                named = region["value"].get(kind)
                raise InputError(where, f"{named} is on no box", "give the label to the cell's box")
            continue
        value = region["value"]
        labels = value[kind]
        if len(labels) != 1:
            raise InputError(where, f"a cell has the labels {labels}", "choose one")
        box: BoxEdges | None = None
        size: tuple[int, int] | None = None
        cell_id = cells.get(str(region.get("id", "")), "")
        if kind == "choices":
            cell_id = next(iter(cells.values()), "") if len(cells) == 1 else cell_id
        else:
            width, height = size = int(region["original_width"]), int(region["original_height"])
            x, y, w, h = (float(value[key]) / 100 for key in ("x", "y", "width", "height"))
            box = (x * width, y * height, w * width, h * height)
            check_box(where, box, size)
        if not is_empty(str(labels[0])):
            answers.append(Answer(where, str(labels[0]), cell_id, image, box, size))
    return answers
