"""Queues to annotation tools and back, and everything that can be wrong on the way."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from lab import CLASSES, FIELD, make, truth_of
from PIL import Image

from bloomdiff.data.manifest import read_manifest, write_manifest
from bloomdiff.data.vocabulary import VOCABULARY
from bloomdiff.errors import BloomDiffError, InputError
from bloomdiff.selection.exchange import FORMATS, Sheet, apply_answers, read_answers
from bloomdiff.selection.limits import Limits
from bloomdiff.selection.plan import Plan, build_queue

BACK = [name for name in FORMATS if FORMATS[name].answers]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    cells, embeddings = make(folder)
    fields = folder / "fields"
    fields.mkdir()
    for name in set(cells["field"]):
        Image.new("RGB", FIELD, "white").save(fields / name)
    queue = build_queue(cells, embeddings, Plan(limits=Limits(objects=9)))
    return folder, cells, queue


@pytest.fixture(params=["crops", "fields"])
def sheet(request, lab):
    folder, _, queue = lab
    return Sheet.of(queue, folder, folder / "fields" if request.param == "fields" else None)


def write(name, sheet, folder):
    path = folder / FORMATS[name].file
    FORMATS[name]().write(sheet, path)
    return path


@pytest.mark.parametrize("name", ["csv", "label-studio"])
def test_files_of_others_in_a_queues_folder_are_not_lost(name, lab, tmp_path):
    folder, _, queue = lab
    path = write(name, Sheet.of(queue, folder), tmp_path)
    if name == "csv":
        (path / "thumbnails" / "00099.png").write_bytes(b"of a longer queue")
    write(name, Sheet.of(queue, folder), tmp_path)
    assert not (path / "thumbnails" / "00099.png").exists()
    (path / "thesis.docx").write_text("mine")
    with pytest.raises(InputError, match=r"thesis\.docx: would be lost; name a new or empty"):
        write(name, Sheet.of(queue, folder), tmp_path)
    assert (path / "thesis.docx").read_text() == "mine"


def annotate(name, path, label=truth_of, skip=()):
    """Play the expert: label every cell but those in `skip`, with the tool's own means."""
    if name == "coco":
        content = json.loads(path.read_text())
        ids = {c["name"]: c["id"] for c in content["categories"]}
        for one in content["annotations"]:
            if one["attributes"]["cell_id"] not in skip:
                one["category_id"] = ids[label(one["attributes"]["cell_id"])]
        path.write_text(json.dumps(content))
    elif name == "cvat":
        root = ET.parse(path)
        for box in root.iter("box"):
            cell = next(a.text for a in box.iter("attribute") if a.get("name") == "cell_id")
            if cell not in skip:
                box.set("label", label(cell))
        root.write(path)
    elif name == "csv":
        table = pd.read_csv(path / "queue.csv", keep_default_na=False)
        table["label"] = ["" if c in skip else label(c) for c in table["cell_id"]]
        table.to_csv(path / "queue.csv", index=False)
    else:
        tasks = json.loads((path / "tasks.json").read_text())
        for task in tasks:
            regions = task["predictions"][0]["result"]
            for region in regions:
                cell = task["data"]["cells"][region["id"]]
                key = "choices" if region["type"] == "choices" else "rectanglelabels"
                region["value"][key] = ["unlabelled" if cell in skip else label(cell)]
            task["annotations"] = [{"id": 1, "was_cancelled": False, "result": regions}]
        (path / "tasks.json").write_text(json.dumps(tasks))


@pytest.mark.parametrize("name", BACK)
def test_round_trip(name, sheet, lab, tmp_path):
    _, cells, queue = lab
    path = write(name, sheet, tmp_path)
    assert read_answers(path, name, queue) == {}  # nobody has labelled anything yet
    skip = {queue.table["cell_id"][4]}
    annotate(name, path, skip=skip)
    labels = read_answers(path, name, queue)
    assert labels == {c: truth_of(c) for c in queue.table["cell_id"] if c not in skip}

    manifest = tmp_path / "manifest.csv"
    write_manifest(cells, manifest)
    write_manifest(apply_answers(read_manifest(manifest), labels, manifest), manifest)
    after = read_manifest(manifest).set_index("cell_id")["label"]
    assert {c: after[c] for c in labels} == labels
    untouched = cells.set_index("cell_id")["label"].drop(list(labels))
    assert (after[untouched.index] == untouched).all()


@pytest.mark.parametrize("name", ["coco", "cvat", "label-studio"])
def test_cells_are_found_by_their_box_where_the_tool_drops_ids(name, lab, tmp_path):
    folder, _, queue = lab
    path = write(name, Sheet.of(queue, folder, folder / "fields"), tmp_path)
    annotate(name, path)
    file = path / "tasks.json" if path.is_dir() else path
    text = file.read_text()
    if name == "label-studio":
        tasks = json.loads(text)
        for task in tasks:
            del task["data"]["cells"]
            for region in task["annotations"][0]["result"]:
                region["value"]["x"] += 1  # and the expert moved the box a little
        text = json.dumps(tasks)
    else:
        text = text.replace('"cell_id": "', '"was": "').replace('name="cell_id"', 'name="was"')
    file.write_text(text)
    assert read_answers(path, name, queue) == {c: truth_of(c) for c in queue.table["cell_id"]}


def test_the_coco_file_is_read_by_our_importer_and_by_pycocotools(lab, tmp_path):
    from bloomdiff.data.importers import make_importer

    folder, _, queue = lab
    path = write("coco", Sheet.of(queue, folder, folder / "fields"), tmp_path)
    annotate("coco", path)
    importer = make_importer("coco", {"images": folder / "fields"})
    records = list(importer.records(path))
    boxes = {(r.field.rpartition("/")[2], r.box.x, r.box.y): r.label for r in records}
    for row in queue.table.itertuples():
        assert boxes[row.field, row.box_x, row.box_y] == truth_of(row.cell_id)


def test_label_studio_accepts_the_tasks(sheet, tmp_path):
    interface = pytest.importorskip("label_studio_sdk.label_interface")
    path = write("label-studio", sheet, tmp_path)
    config = interface.LabelInterface((path / "label_config.xml").read_text())
    config.validate()
    for task in json.loads((path / "tasks.json").read_text()):
        assert config.validate_task({"data": task["data"]})
        assert not config.validate_task({"data": {}})
        for prediction in task["predictions"]:
            assert config.validate_prediction(prediction, return_errors=True) == []
            prediction["result"][0]["from_name"] = "another"
            assert config.validate_prediction(prediction, return_errors=True) != []


def test_label_studio_tasks_follow_the_documented_schema(sheet, tmp_path):
    """Written from https://labelstud.io/guide/predictions and /guide/tasks."""
    jsonschema = pytest.importorskip("jsonschema")
    path = write("label-studio", sheet, tmp_path)
    percent = {"type": "number", "minimum": 0, "maximum": 100}
    value = {
        "choices": {"required": ["choices"]},
        "rectanglelabels": {
            "required": ["x", "y", "width", "height", "rectanglelabels"],
            "properties": dict.fromkeys(("x", "y", "width", "height"), percent),
        },
    }
    region = {
        "type": "object",
        "required": ["id", "from_name", "to_name", "type", "value"],
        "properties": {"type": {"enum": list(value)}, "id": {"type": "string"}},
        "allOf": [
            {"if": {"properties": {"type": {"const": k}}}, "then": {"properties": {"value": v}}}
            for k, v in value.items()
        ],
    }
    prediction = {
        "type": "object",
        "required": ["result"],
        "properties": {
            "model_version": {"type": "string"},
            "score": {"type": "number", "minimum": 0, "maximum": 1},
            "result": {"type": "array", "items": region},
        },
    }
    schema = {
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "required": ["data"],
            "properties": {
                "data": {"type": "object", "required": ["image"]},
                "predictions": {"type": "array", "items": prediction},
            },
        },
    }
    tasks = json.loads((path / "tasks.json").read_text())
    jsonschema.validate(tasks, schema)
    view = ET.parse(path / "label_config.xml").getroot()
    control = view.find("Choices" if sheet.whole else "RectangleLabels")
    assert control.get("name") == "class"
    assert {c.get("value") for c in control} - {"unlabelled"} == {*CLASSES, *VOCABULARY}
    names = {e.get("name") for e in view.iter() if e.get("name")}
    for task in tasks:
        assert task["data"]["image"].startswith("/data/local-files/?d=")
        for one in task["predictions"][0]["result"]:
            assert {one["from_name"], one["to_name"]} <= names


def test_table_and_contact_sheets_show_every_cell(sheet, lab, tmp_path):
    path = write("csv", sheet, tmp_path)
    table = pd.read_csv(path / "queue.csv")
    assert table["cell_id"].tolist() == [c.cell_id for c in sheet.cells]
    for name in table["thumbnail"]:
        with Image.open(path / name) as image:
            assert image.size == (112, 112)
    with Image.open(write("png", sheet, tmp_path)) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels.shape[0] == 2 * (112 + 44)
    assert (pixels[4:116, 4:116] != 255).any()
    page = write("html", sheet, tmp_path).read_text()
    assert page.count("<img ") == 9
    assert all(c.reason in page for c in sheet.cells)
    with pytest.raises(InputError, match="brings no labels back"):
        read_answers(tmp_path / "contact_sheet.html", "html", lab[2])


def test_a_box_outside_its_field_is_named_and_nothing_is_written(lab, tmp_path):
    folder, _, queue = lab
    table = queue.table.assign(box_x=queue.table["box_x"].where(queue.table["rank"] != 3, 190.0))
    broken = type(queue)(table, queue.review, queue.header)
    with pytest.raises(InputError) as caught:
        Sheet.of(broken, folder, folder / "fields")
    assert str(caught.value).startswith(
        f"cell {table['cell_id'][2]!r}: box [190.0, 30.5, 24.0, 22.0] leaves the 200x150 image"
    )


def spoil_coco(change):
    def spoil(path):
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return "coco", spoil


def spoil_text(name, old, new, file=""):
    def spoil(path):
        target = path / file if file else path
        text = target.read_text()
        assert old in text
        target.write_text(text.replace(old, new, 1))

    return name, spoil


def misspell(path):
    table = pd.read_csv(path / "queue.csv")
    table.assign(label="lymphocite").to_csv(path / "queue.csv", index=False)


def two_choices(path):
    tasks = json.loads((path / "tasks.json").read_text())
    tasks[0]["annotations"][0]["result"][0]["value"]["choices"] = ["a", "b"]
    (path / "tasks.json").write_text(json.dumps(tasks))


BROKEN = {
    "negative size": (
        spoil_coco(lambda c: c["annotations"][2].update(bbox=[1, 1, -4, 5])),
        "annotation 3: box [1.0, 1.0, -4.0, 5.0] has no positive size",
    ),
    "outside": (
        spoil_coco(lambda c: c["annotations"][2].update(bbox=[1, 1, 400, 5])),
        "annotation 3: box [1.0, 1.0, 400.0, 5.0] leaves the 24x24 image",
    ),
    "no category": (
        spoil_coco(lambda c: c["annotations"][0].update(category_id=77)),
        "annotation 1: category_id 77 is no category",
    ),
    "no image": (
        spoil_coco(lambda c: c["annotations"][0].update(image_id=77)),
        "annotation 1: image_id 77 is no image",
    ),
    "twice": (
        spoil_coco(lambda c: c["annotations"][1].update(id=1)),
        "annotation 1: is there twice",
    ),
    "not COCO": (spoil_coco(lambda c: c.pop("images")), "coco.json: images: field required"),
    "another queue": (
        spoil_coco(lambda c: c["annotations"][0]["attributes"].update(cell_id="x")),
        "annotation 1: cell 'x' is not in the queue",
    ),
    "unknown class": (
        ("csv", misspell),
        "class 'lymphocite' is unknown; did you mean 'lymphocyte'?",
    ),
    "no column": (
        spoil_text("csv", "label", "lable", "queue.csv"),
        "queue.csv: has no column label",
    ),
    "no XML": (spoil_text("cvat", "</annotations>", ""), "cvat.xml: is not XML"),
    "old XML": (spoil_text("cvat", "1.1", "1.0"), "cvat.xml: is not CVAT for images 1.1"),
    "no number": (spoil_text("cvat", 'xtl="', 'xtl="a'), "box 1: xtl 'a0.00' is no number"),
    "not JSON": (spoil_text("label-studio", "[", "{", "tasks.json"), "tasks.json: is not JSON"),
    "no data": (
        spoil_text("label-studio", '"data"', '"dada"', "tasks.json"),
        "task 1: lacks what a task has ('data')",
    ),
    "two choices": (("label-studio", two_choices), "task 1: a cell has the labels ['a', 'b']"),
}


@pytest.mark.parametrize("case", sorted(BROKEN))
def test_broken_answers_name_the_place(case, lab, tmp_path):
    folder, _, queue = lab
    (name, spoil), line = BROKEN[case]
    path = write(name, Sheet.of(queue, folder), tmp_path)
    annotate(name, path)
    spoil(path)
    with pytest.raises(BloomDiffError) as caught:
        read_answers(path, name, queue)
    assert line in str(caught.value)


def test_two_labels_of_one_cell_are_a_conflict(lab, tmp_path):
    folder, _, queue = lab
    path = write("csv", Sheet.of(queue, folder), tmp_path)
    annotate("csv", path)
    table = pd.read_csv(path / "queue.csv")
    other = CLASSES[(CLASSES.index(table["label"][0]) + 1) % 3]
    pd.concat([table, table[:1].assign(label=other)]).to_csv(path / "queue.csv", index=False)
    with pytest.raises(
        InputError, match=rf"is labelled {other}, and {table['label'][0]} at .* row 2"
    ):
        read_answers(path, "csv", queue)


def test_a_code_of_the_vocabulary_becomes_its_name(lab, tmp_path):
    folder, _, queue = lab
    path = write("csv", Sheet.of(queue, folder), tmp_path)
    annotate("csv", path, label=lambda cell: "MON")
    assert set(read_answers(path, "csv", queue).values()) == {"monocyte"}


def test_a_label_is_not_overwritten_unasked(lab):
    folder, cells, _ = lab
    labels = {"lab/cell-000": "monocyte", "lab/cell-030": "basophil"}
    with pytest.raises(
        InputError, match="cell 'lab/cell-000': is labelled basophil, and now monocyte"
    ):
        apply_answers(cells, labels, folder / "manifest.csv")
    after = apply_answers(cells, labels, folder / "manifest.csv", overwrite=True)
    assert after["label"][0] == "monocyte"
    with pytest.raises(InputError, match="cell 'gone': is missing"):
        apply_answers(cells, {"gone": "monocyte"}, folder / "manifest.csv")
