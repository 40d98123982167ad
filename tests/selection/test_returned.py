"""Files that came back and look sound, but would be taken for something else."""

import json
import re

import pytest
from lab import FIELD, make
from PIL import Image

from bloomdiff.errors import InputError
from bloomdiff.selection.exchange import FORMATS, Sheet, read_answers
from bloomdiff.selection.limits import Limits
from bloomdiff.selection.plan import Plan, build_queue


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
