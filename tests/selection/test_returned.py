"""Files that came back and look sound, but would be taken for something else."""

import json
import re

import pandas as pd
import pytest
from lab import FIELD, make
from PIL import Image

from bloomdiff.errors import InputError
from bloomdiff.selection.exchange import FORMATS, Sheet, read_answers
from bloomdiff.selection.exchange.returned import apply_answers
from bloomdiff.selection.limits import Limits
from bloomdiff.selection.plan import Plan, build_queue
from bloomdiff.selection.queue import Queue


@pytest.fixture(scope="module")
def sent(tmp_path_factory):
    """A queue of four cells, and the text of its file in each format."""
    folder = tmp_path_factory.mktemp("sent")
    cells, embeddings = make(folder, images=False)
    for name in set(cells["field"]):
        Image.new("RGB", FIELD, "white").save(folder / name)
    queue = build_queue(cells, embeddings, Plan(limits=Limits(objects=4)))
    texts = {}
    for name in ("coco", "cvat", "label-studio"):
        path = folder / FORMATS[name].file
        FORMATS[name]().write(Sheet.of(queue, folder, folder), path)
        texts[name] = (path / "tasks.json" if path.is_dir() else path).read_text()
    return queue, texts


def lines_of(sent, name, text, tmp_path):
    file = tmp_path / "answers"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        read_answers(file, name, sent[0])
    return [line.removeprefix(str(file)) for line in str(caught.value).splitlines()]


@pytest.mark.parametrize("what", ["category", "image"])
def test_two_of_one_id_in_coco(what, sent, tmp_path):
    content = json.loads(sent[1]["coco"])
    for one in content["annotations"]:
        one["category_id"] = 2
    things = content["categories" if what == "category" else "images"]
    things.append(things[1] | {"name": "monocyte", "file_name": "other.png"})
    told = lines_of(sent, "coco", json.dumps(content), tmp_path)
    assert told == [f": {what} 2: is there twice; give each an id of its own"]


def test_a_box_that_is_not_finite(sent, tmp_path):
    content = json.loads(sent[1]["coco"])
    content["annotations"][0] |= {"bbox": [float("nan"), 1, 24, 22], "category_id": 2}
    told = lines_of(sent, "coco", json.dumps(content), tmp_path)
    assert told == [": annotation 1: box [nan, 1.0, 24.0, 22.0] is not finite; mend the box"]


def test_json_min_of_label_studio(sent, tmp_path):
    tasks = json.loads(sent[1]["label-studio"])
    small = [
        {
            "id": task["id"],
            "image": task["data"]["image"],
            "class": [{"rectanglelabels": ["blast"]}],
        }
        for task in tasks
    ]
    told = lines_of(sent, "label-studio", json.dumps(small), tmp_path)
    assert told == [": holds no task's data; export it as JSON, not JSON-MIN"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("key", ["x", "original_width"])
def test_numbers_of_label_studio_that_are_not_finite(value, key, sent, tmp_path):
    tasks = json.loads(sent[1]["label-studio"])
    regions = tasks[0]["predictions"][0]["result"]
    (regions[0]["value"] if key == "x" else regions[0])[key] = value
    tasks[0]["annotations"] = [{"result": regions}]
    (told,) = lines_of(sent, "label-studio", json.dumps(tasks), tmp_path)
    assert told.startswith(": task 1: ")


def test_tracks_and_other_shapes_of_cvat(sent, tmp_path):
    text = sent[1]["cvat"]
    track = (
        '<track id="7" label="basophil"><box frame="0" xtl="1" ytl="1" xbr="9" ybr="9"/></track>'
    )
    told = lines_of(
        sent, "cvat", text.replace("</annotations>", f"{track}</annotations>"), tmp_path
    )
    assert told == [
        ": track 7: 'basophil' belongs to a video; "
        "export it as CVAT for images 1.1, with a box in each image"
    ]
    shape = '<polygon label="basophil" points="1,1;5,1;5,5"/></image>'
    told = lines_of(sent, "cvat", re.sub("</image>", shape, text, count=1), tmp_path)
    assert len(told) == 1
    assert told[0].endswith("'basophil' is on no box; give the label to the cell's box")
    # Nobody has labelled these yet.
    (tmp_path / "answers").write_text(
        text.replace("</image>", '<polygon label="unlabelled"/></image>')
    )
    assert read_answers(tmp_path / "answers", "cvat", sent[0]) == {}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A queue of four crops, and the text of its file in each format."""
    folder = tmp_path_factory.mktemp("whole")
    queue = build_queue(*make(folder), Plan(limits=Limits(objects=4)))
    texts = {}
    for name in ("coco", "cvat", "label-studio"):
        path = folder / FORMATS[name].file
        FORMATS[name]().write(Sheet.of(queue, folder), path)
        texts[name] = (path / "tasks.json" if path.is_dir() else path).read_text()
    return queue, texts


def test_a_box_in_the_corner_of_a_crop_is_another_cell(whole, tmp_path):
    box = '<box label="platelet" xtl="0" ytl="0" xbr="4" ybr="4"/></image>'
    text = whole[1]["cvat"].replace("</image>", box, 1)
    (told,) = lines_of(whole, "cvat", text, tmp_path)
    assert "its label 'platelet' is on no cell of the queue" in told
    all_of_it = box.replace('"4"', '"24"')
    (tmp_path / "answers").write_text(whole[1]["cvat"].replace("</image>", all_of_it, 1))
    assert list(read_answers(tmp_path / "answers", "cvat", whole[0]).values()) == ["platelet"]
    content = json.loads(whole[1]["coco"])
    content["annotations"].append(
        {"id": 99, "image_id": 1, "category_id": 2, "bbox": [0, 0, 4, 4], "attributes": {}}
    )
    (told,) = lines_of(whole, "coco", json.dumps(content), tmp_path)
    assert "annotation 99: its label" in told


def annotation(label, by, at, kind="choices"):
    result = [{"id": "a", "type": kind, "value": {kind: [label]}}] if label else []
    return {"completed_by": by, "updated_at": f"2026-11-0{at}", "result": result}


def test_annotators_who_contradict_each_other(whole, tmp_path):
    tasks = json.loads(whole[1]["label-studio"])
    tasks[0]["annotations"] = [annotation("monocyte", 1, 1), annotation("basophil", 2, 2)]
    (told,) = lines_of(whole, "label-studio", json.dumps(tasks), tmp_path)
    assert told.endswith(
        "is labelled basophil, and monocyte at " + f"{tmp_path}/answers: task 1; keep one of them"
    )
    # One annotator's second thoughts are no contradiction, and one who says nothing none either.
    tasks[0]["annotations"] = [
        annotation("monocyte", 1, 2),
        annotation("basophil", 1, 1),
        annotation("", 2, 3),
    ]
    (tmp_path / "answers").write_text(json.dumps(tasks))
    assert list(read_answers(tmp_path / "answers", "label-studio", whole[0]).values()) == [
        "monocyte"
    ]


def test_tasks_of_others_that_nobody_annotated_are_passed_over(whole, tmp_path):
    tasks = [*json.loads(whole[1]["label-studio"]), {"id": 99, "data": {"text": "no cell"}}]
    (tmp_path / "answers").write_text(json.dumps(tasks))
    assert read_answers(tmp_path / "answers", "label-studio", whole[0]) == {}


def test_other_shapes_and_relations_of_label_studio(whole, tmp_path):
    tasks = json.loads(whole[1]["label-studio"])
    tasks[0]["annotations"] = [annotation("monocyte", 1, 1, "polygonlabels")]
    (told,) = lines_of(whole, "label-studio", json.dumps(tasks), tmp_path)
    assert told == ": task 1: ['monocyte'] is on no box; give the label to the cell's box"
    tasks[0]["annotations"] = [annotation("monocyte", 1, 1)]
    tasks[0]["annotations"][0]["result"].append({"type": "relation", "from_id": "a", "to_id": "b"})
    (tmp_path / "answers").write_text(json.dumps(tasks))
    assert list(read_answers(tmp_path / "answers", "label-studio", whole[0]).values()) == [
        "monocyte"
    ]


@pytest.mark.parametrize("text", ["[" * 100_000, "[" + "1" * 5000 + "]"])
def test_json_that_cannot_be_parsed(text, whole, tmp_path):
    (told,) = lines_of(whole, "label-studio", text, tmp_path)
    assert told.startswith(": is not JSON (")


def test_labels_of_an_earlier_queue_may_come_again(whole, tmp_path):
    queue, texts = whole
    cell = queue.table["cell_id"][0]
    text = texts["cvat"].replace("unlabelled", "monocyte").replace(cell, "lab/earlier")
    (tmp_path / "answers").write_text(text)
    earlier = pd.DataFrame({"cell_id": ["lab/earlier"], "label": ["monocyte"], "path": ["x.png"]})
    told = read_answers(tmp_path / "answers", "cvat", queue, earlier)
    assert set(told) == set(queue.table["cell_id"]) - {cell}
    # Whether another label takes the place of an expert's is not for this to decide.
    told = read_answers(tmp_path / "answers", "cvat", queue, earlier.assign(label="basophil"))
    assert told["lab/earlier"] == "monocyte"
    for settled in (earlier.iloc[:0], None):
        with pytest.raises(InputError, match="cell 'lab/earlier' is not in the queue"):
            read_answers(tmp_path / "answers", "cvat", queue, settled)


def redrawn(texts, away, file):
    """Labels of the second class on boxes without ids, so many pixels to the right."""
    content = json.loads(texts["coco"])
    for one in content["annotations"]:
        one["category_id"], one["attributes"] = 2, {"cell_id": None}
        one["bbox"][0] += away
    file.write_text(json.dumps(content))
    return content


def test_a_redrawn_box_of_an_earlier_queue_is_that_queues_cell(sent, tmp_path):
    queue, texts = sent
    content = redrawn(texts, 1, tmp_path / "answers")
    settled = queue.table[:2].assign(label=content["categories"][1]["name"])
    # Boxes that the manifest lacks are in nobody's way.
    settled = pd.concat([settled, settled.assign(cell_id="lab/other", box_x="", path="y.png")])
    rest = Queue(queue.table[2:].reset_index(drop=True), queue.review, queue.header)
    told = read_answers(tmp_path / "answers", "coco", rest, settled)
    assert set(told) == set(rest.table["cell_id"])
    with pytest.raises(InputError, match="is on no cell of the queue"):
        read_answers(tmp_path / "answers", "coco", rest)


def test_a_box_is_not_that_of_another_sources_field_of_the_same_name(sent, tmp_path):
    queue, texts = sent
    redrawn(texts, 3, tmp_path / "answers")
    # Their cells lie nearer to where the boxes are now.
    theirs = queue.table.assign(cell_id="other/" + queue.table["cell_id"], source="other", path="")
    theirs = theirs.assign(box_x=theirs["box_x"] + 3, label="monocyte")
    told = read_answers(tmp_path / "answers", "coco", queue, theirs)
    assert set(told) == set(queue.table["cell_id"])


def test_a_box_with_the_id_of_one_cell_on_the_place_of_another(tmp_path):
    cells, embeddings = make(tmp_path, images=False)
    for name in set(cells["field"]):
        Image.new("RGB", FIELD, "white").save(tmp_path / name)
    queue = build_queue(cells, embeddings, Plan(limits=Limits(objects=36)))
    file = tmp_path / "coco.json"
    FORMATS["coco"]().write(Sheet.of(queue, tmp_path, tmp_path), file)
    content = json.loads(file.read_text())
    one, other = content["annotations"][0], content["annotations"][1]
    assert one["image_id"] == other["image_id"]
    one |= {"category_id": 2, "bbox": [other["bbox"][0] + 2, *other["bbox"][1:]]}
    file.write_text(json.dumps(content))
    names = [annotation["attributes"]["cell_id"] for annotation in (one, other)]
    with pytest.raises(InputError, match=f"is called '{names[0]}' but lies on '{names[1]}'"):
        read_answers(file, "coco", queue)
    one["bbox"][0] += 60  # on nobody's place: drawn anew
    file.write_text(json.dumps(content))
    assert set(read_answers(file, "coco", queue)) == {names[0]}


def test_ids_that_are_no_text_are_one_line(whole, tmp_path):
    tasks = json.loads(whole[1]["label-studio"])
    tasks[0]["data"]["cells"] = {"a": ["no", "id"]}
    tasks[0]["annotations"] = [annotation("monocyte", 1, 1)]
    (told,) = lines_of(whole, "label-studio", json.dumps(tasks), tmp_path)
    assert "is not in the queue" in told


@pytest.mark.parametrize("width", [0, 10**20])
def test_sizes_that_no_image_has(width, sent, tmp_path):
    content = json.loads(sent[1]["coco"])
    content["images"][0]["width"] = width
    (told,) = lines_of(sent, "coco", json.dumps(content), tmp_path)
    assert told.startswith(": images.0.width: input should be ")


def test_another_control_is_not_the_class(tmp_path):
    """A project may ask for more than the class: how good the picture is, say."""
    cells, embeddings = make(tmp_path)
    queue = build_queue(cells, embeddings, Plan(limits=Limits(objects=3)))
    path = tmp_path / "label-studio"
    FORMATS["label-studio"]().write(Sheet.of(queue, tmp_path), path)
    tasks = json.loads((path / "tasks.json").read_text())

    def chosen(control, value):
        return {
            "type": "choices",
            "from_name": control,
            "to_name": "image",
            "value": {"choices": [value]},
        }

    answers = [
        [chosen("class", "monocyte"), chosen("quality", "good")],
        [chosen("second look", "monocyte")],
        [],
    ]
    for task, result in zip(tasks, answers, strict=True):
        task["annotations"] = [{"result": result}]
    (path / "tasks.json").write_text(json.dumps(tasks))
    found = read_answers(path, "label-studio", queue)
    assert found == {tasks[0]["data"]["cells"].popitem()[1]: "monocyte"}


def test_cells_verified_before_stay_verified(tmp_path):
    cells, _ = make(tmp_path, images=False)
    once = apply_answers(cells, {"lab/cell-020": "basophil"}, tmp_path)
    twice = apply_answers(once, {"lab/cell-021": "monocyte"}, tmp_path)
    assert twice.loc[twice["verified"] == "yes", "cell_id"].tolist() == [
        "lab/cell-020",
        "lab/cell-021",
    ]
