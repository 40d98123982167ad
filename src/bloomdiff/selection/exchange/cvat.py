"""CVAT for images 1.1 (https://docs.cvat.ai/docs/manual/advanced/xml_format/)."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from pathlib import Path

from bloomdiff.data.schema import UNLABELLED
from bloomdiff.errors import BloomDiffError, InputError, raise_all
from bloomdiff.selection.exchange.base import FORMATS, Answer, Format, is_empty, read_text
from bloomdiff.selection.exchange.sheet import Sheet, check_box

ATTRIBUTES = ("cell_id", "predicted", "reason")


@FORMATS.register("cvat")
class Cvat(Format):
    """One XML file; boxes carry the label `UNLABELLED` until the annotator changes it."""

    name = "cvat"
    file = "cvat.xml"

    def fill(self, sheet: Sheet, temporary: Path, path: Path) -> None:
        """Write labels with their attributes, images and boxes."""
        root = ET.Element("annotations")
        ET.SubElement(root, "version").text = "1.1"
        task = ET.SubElement(ET.SubElement(root, "meta"), "task")
        images = list(sheet.by_image())
        ET.SubElement(task, "name").text = "cells to be labelled"
        ET.SubElement(task, "size").text = str(len(images))
        ET.SubElement(task, "mode").text = "annotation"
        labels = ET.SubElement(task, "labels")
        for name in (UNLABELLED, *sheet.classes):
            label = ET.SubElement(labels, "label")
            ET.SubElement(label, "name").text = name
            attributes = ET.SubElement(label, "attributes")
            for key in ATTRIBUTES:
                attribute = ET.SubElement(attributes, "attribute")
                ET.SubElement(attribute, "name").text = key
                ET.SubElement(attribute, "mutable").text = "False"
                ET.SubElement(attribute, "input_type").text = "text"
                ET.SubElement(attribute, "default_value")
                ET.SubElement(attribute, "values")
        for number, (name, cells) in enumerate(images):
            width, height = cells[0].size
            image = ET.SubElement(
                root, "image", id=str(number), name=name, width=str(width), height=str(height)
            )
            for cell in cells:
                x, y, w, h = cell.box
                edges = {"xtl": x, "ytl": y, "xbr": x + w, "ybr": y + h}
                box = ET.SubElement(
                    image,
                    "box",
                    {"label": UNLABELLED, "source": "manual", "occluded": "0"}
                    | {key: f"{value:.2f}" for key, value in edges.items()}
                    | {"z_order": "0"},
                )
                for key in ATTRIBUTES:
                    ET.SubElement(box, "attribute", name=key).text = str(getattr(cell, key))
        ET.indent(root)
        ET.ElementTree(root).write(temporary, encoding="utf-8", xml_declaration=True)

    def read(self, path: Path) -> list[Answer]:
        """Read labels and boxes."""
        text = read_text(path)
        if "<!DOCTYPE" in text or "<!ENTITY" in text:  # entities can be made to grow without bound
            raise InputError(str(path), "declares XML entities", "remove the DOCTYPE")
        try:
            root = ET.fromstring(text)
        except ET.ParseError as error:
            raise InputError(str(path), f"is not XML ({error})", "export it again") from None
        if root.tag != "annotations" or root.findtext("version") != "1.1":
            raise InputError(str(path), "is not CVAT for images 1.1", "export it in that format")
        answers: list[Answer] = []
        problems: list[BloomDiffError] = [
            InputError(
                f"{path}: track {track.get('id') or ''}",
                f"{track.get('label')!r} belongs to a video",
                "export it as CVAT for images 1.1, with a box in each image",
            )
            for track in root.iter("track")
        ]
        for image in root.iter("image"):
            name = image.get("name") or ""
            problems += _no_boxes(path, name, image)
            for number, box in enumerate(image.iter("box"), start=1):
                where = f"{path}: image {name!r} box {number}"
                try:
                    answers += _answer(where, name, image, box)
                except InputError as error:
                    problems.append(error)
        raise_all(problems)
        return answers


def _answer(where: str, name: str, image: ET.Element, box: ET.Element) -> list[Answer]:
    left, top, right, bottom = (_number(where, box, key) for key in ("xtl", "ytl", "xbr", "ybr"))
    size = (int(_number(where, image, "width")), int(_number(where, image, "height")))
    edges = (left, top, right - left, bottom - top)
    check_box(where, edges, size)
    cell = next((a.text or "" for a in box.iter("attribute") if a.get("name") == "cell_id"), "")
    label = (box.get("label") or "").strip()
    return [] if is_empty(label) else [Answer(where, label, cell, name, edges, size)]


def _no_boxes(path: Path, name: str, image: ET.Element) -> list[BloomDiffError]:
    """What carries a label in other shapes than boxes."""
    return [
        InputError(
            f"{path}: image {name!r} {shape.tag} {number}",
            f"{shape.get('label')!r} is on no box",
            "give the label to the cell's box",
        )
        for number, shape in enumerate(image, start=1)
        if shape.tag not in ("box", "track") and not is_empty((shape.get("label") or "").strip())
    ]


def _number(where: str, element: ET.Element, key: str) -> float:
    try:
        value = float(element.get(key) or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(where, f"{key} {element.get(key)!r} is no number", "export it again")
    return value
