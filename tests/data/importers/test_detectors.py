"""What a detector says of its boxes survives every format, down to the queue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.importers.classes import ClassRules
from bloomdiff.errors import BloomDiffError, ParameterError
from bloomdiff.selection.limits import Limits
from bloomdiff.selection.plan import Plan, build_queue

PROBA = {"lymphocyte": 0.7, "monocyte": 0.3}


def coco(folder: Path, paint: Any, **told: Any) -> Path:
    paint(folder / "f.png", 60, 40)
    boxes = [[20, 10, 10, 6], [2, 2, 8, 8]]
    content = {
        "images": [{"id": 1, "file_name": "f.png", "width": 60, "height": 40}],
        "categories": [{"id": 1, "name": "lymphocyte"}],
        "annotations": [
            {"id": n, "image_id": 1, "category_id": 1, "bbox": box, **told}
            for n, box in enumerate(boxes)
        ],
    }
    (folder / "d.json").write_text(json.dumps(content))
    return folder / "d.json"


def voc(folder: Path, paint: Any, score: str, tag: str = "score") -> Path:
    paint(folder / "f.png", 60, 40)
    (folder / "f.xml").write_text(
        f"<annotation><filename>f.png</filename><object><name>a</name><{tag}>{score}</{tag}>"
        "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"
        "<object><name>b</name><bndbox><xmin>20</xmin><ymin>1</ymin><xmax>29</xmax>"
        "<ymax>9</ymax></bndbox></object></annotation>"
    )
    return folder


def yolo(folder: Path, paint: Any, *lines: str) -> Path:
    paint(folder / "f.png", 60, 40)
    (folder / "classes.txt").write_text("a")
    (folder / "f.txt").write_text("\n".join(lines))
    return folder


def table(folder: Path, paint: Any, text: str) -> Path:
    for name in ("f", "g"):
        paint(folder / f"{name}.png", 60, 40)
    (folder / "t.csv").write_text(text)
    return folder / "t.csv"


def test_coco_keeps_scores_and_probabilities(tmp_path: Path, paint, load) -> None:
    cells = load("coco", coco(tmp_path, paint, score=0.25, probabilities=PROBA))
    assert cells["score"].tolist() == [0.25, 0.25]
    assert cells["p.lymphocyte"].tolist() == [0.7, 0.7]
    assert cells["p.monocyte"].tolist() == [0.3, 0.3]


def test_nothing_told_adds_no_column(tmp_path: Path, paint, load) -> None:
    cells = load("coco", coco(tmp_path, paint))
    assert not [name for name in cells if name == "score" or name.startswith("p.")]


@pytest.mark.parametrize("tag", ["score", "confidence"])
def test_voc_keeps_scores(tmp_path: Path, paint, load, tag: str) -> None:
    cells = load("voc", voc(tmp_path, paint, "0.5", tag))
    assert cells["score"].astype(str).tolist() == ["0.5", ""]


def test_yolo_keeps_the_number_more(tmp_path: Path, paint, load) -> None:
    lines = ("0 0.5 0.5 0.2 0.2 0.75", "0 0.1 0.1 0.2 0 0.2 0.2 0.125", "0 0.8 0.8 0.1 0.1")
    cells = load("yolo", yolo(tmp_path, paint, *lines))
    assert cells["score"].astype(str).tolist() == ["0.75", "0.125", ""]
    np.testing.assert_allclose(cells["box_x"], [24, 6, 45], atol=1e-6)


def test_csv_keeps_scores_and_probabilities(tmp_path: Path, paint, load) -> None:
    text = "path,score,p.a,p.b\nf.png,0.5,0.25,0.75\ng.png,,,\n"
    cells = load("csv", table(tmp_path, paint, text))
    assert cells["score"].astype(str).tolist() == ["0.5", ""]
    assert cells["p.a"].astype(str).tolist() == ["0.25", ""]
    assert cells["p.b"].astype(str).tolist() == ["0.75", ""]


@pytest.mark.parametrize(
    ("told", "part"),
    [
        ({"score": 1.5}, "score 1.5 is no probability"),
        ({"score": -0.1}, "is no probability"),
        ({"probabilities": {"a": 0.5, "b": 0.6}}, "add up to 1.100"),
        ({"probabilities": {"a": 1.5, "b": -0.5}}, "probability of 'a' 1.5"),
    ],
)
def test_what_is_no_probability_is_refused(tmp_path: Path, paint, load, told, part) -> None:
    with pytest.raises(BloomDiffError) as caught:
        load("coco", coco(tmp_path, paint, **told))
    assert part in str(caught.value)
    assert "annotations.0" in str(caught.value)
    assert not (tmp_path / "out" / "manifest.csv").exists()


@pytest.mark.parametrize(
    ("make", "place"),
    [
        (lambda f, p: ("voc", voc(f, p, "2")), "object 1"),
        (lambda f, p: ("voc", voc(f, p, "high")), "object 1"),
        (lambda f, p: ("yolo", yolo(f, p, "0 0.5 0.5 0.2 0.2 7")), "f.txt row 1"),
        (lambda f, p: ("csv", table(f, p, "path,score\nf.png,3\n")), "t.csv row 2"),
        (lambda f, p: ("csv", table(f, p, "path,p.a\nf.png,0.5\n")), "t.csv row 2"),
        (lambda f, p: ("csv", table(f, p, "path,score\nf.png,much\n")), "t.csv row 2"),
    ],
)
def test_other_formats_name_the_place(tmp_path: Path, paint, load, make, place: str) -> None:
    with pytest.raises(BloomDiffError, match=place):
        load(*make(tmp_path, paint))


def test_renamed_classes_add_up(tmp_path: Path, paint, load) -> None:
    rules = ClassRules(rename={"monocyte": "cell", "lymphocyte": "cell"})
    file = coco(tmp_path, paint, probabilities={**PROBA})
    content = json.loads(file.read_text())
    content["categories"].append({"id": 2, "name": "monocyte"})
    content["annotations"][1]["category_id"] = 2
    file.write_text(json.dumps(content))
    cells = load("coco", file, classes=rules)
    assert cells["label"].tolist() == ["cell", "cell"]
    assert cells["p.cell"].tolist() == [1.0, 1.0]


def test_common_classes_add_up(tmp_path: Path, paint, load) -> None:
    proba = {"neutrophil_band": 0.5, "neutrophil_segmented": 0.25, "dirt": 0.25}
    file = coco(tmp_path, paint, probabilities=proba)
    load("coco", file, source="a", classes=ClassRules(rename={"lymphocyte": "neutrophil_band"}))
    rules = ClassRules(rename={"lymphocyte": "neutrophil"}, common=True)
    plain = coco(tmp_path, paint)
    cells = load("coco", plain, source="b", append=True, classes=rules)
    told = cells[cells["source"] == "a"]
    assert told["p.neutrophil"].astype(float).tolist() == [0.75, 0.75]
    assert told["p.dirt"].astype(float).tolist() == [0.25, 0.25]


def test_common_classes_add_up_where_some_cells_have_no_probabilities(
    tmp_path: Path, paint, load
) -> None:
    text = "path,label,p.neutrophil_band,p.neutrophil_segmented\n"
    for at, row in enumerate(("neutrophil_band,0.1,0.9", "neutrophil_band,,")):
        paint(tmp_path / f"g-{at}.png", 60, 40)
        text += f"g-{at}.png,{row}\n"
    load("csv", table(tmp_path, paint, text), source="a")
    rules = ClassRules(rename={"lymphocyte": "neutrophil"}, common=True)
    cells = load("coco", coco(tmp_path, paint), source="b", append=True, classes=rules)
    told = cells.loc[cells["source"] == "a", "p.neutrophil"]
    assert pd.to_numeric(told, errors="coerce").tolist()[0] == 1.0


def test_the_classes_of_probabilities_alone_are_renamed(tmp_path: Path, paint, load) -> None:
    paint(tmp_path / "g.png", 60, 40)
    file = table(tmp_path, paint, "path,p.NEU,p.MON\ng.png,0.25,0.75\n")
    rules = ClassRules(rename={"NEU": "neutrophil"})
    assert load("csv", file, classes=rules)["p.neutrophil"].tolist() == [0.25]
    with pytest.raises(ParameterError, match=r"class 'MONO': is not .* did you mean 'MON'"):
        load("csv", file, classes=ClassRules(rename={"MONO": "monocyte"}), replace=True)
    with pytest.raises(ParameterError, match="class 'NEU': is not in the data"):
        load("csv", file, classes=ClassRules(drop=("NEU",)), replace=True)


def test_the_queue_goes_by_what_was_imported(tmp_path: Path, paint, load) -> None:
    """The detector's word is all there is: no cell has a label, yet the disputed one is first."""
    rows = ["f-0,0.9,0.99,0.01", "f-1,0.8,0.52,0.48", "f-2,0.7,0.9,0.1"]
    text = "path,score,p.monocyte,p.lymphocyte\n"
    for row in rows:
        name, *numbers = row.split(",")
        paint(tmp_path / f"{name}.png", 60, 40)
        text += f"{name}.png,{','.join(numbers)}\n"
    cells = load("csv", table(tmp_path, paint, text))
    X = np.eye(3, 8, dtype=np.float32)
    embeddings = EmbeddingSet(X, cells[["cell_id", "label", "group", "split", "source"]], {})
    plan = Plan(strategy="margin", limits=Limits(objects=3))
    made = build_queue(cells, embeddings, plan).table
    assert made["cell_id"].tolist() == ["t/f-1.png", "t/f-2.png", "t/f-0.png"]
    assert made["detector_score"].tolist() == [0.8, 0.7, 0.9]
    assert made["reason"][0] == "disputed: monocyte 0.52, lymphocyte 0.48"


def test_a_manifest_mended_by_hand_is_checked(tmp_path: Path, paint, load) -> None:
    cells = load("csv", table(tmp_path, paint, "path,p.a,p.b\nf.png,0.5,0.5\ng.png,1,0\n"))
    embeddings = EmbeddingSet(
        np.eye(2, 8, dtype=np.float32), cells[["cell_id", "label", "group", "split", "source"]], {}
    )
    plan = Plan(limits=Limits(objects=1))
    for column, value, part in (("p.a", 0.9, "add up to 1.400"), ("p.b", "x", "p.b 'x' is no")):
        bad = cells.astype({"p.a": object, "p.b": object})
        bad.loc[0, column] = value
        with pytest.raises(BloomDiffError, match=part):
            build_queue(bad, embeddings, plan)


@pytest.mark.parametrize("kind", ["images", "categories", "annotations"])
def test_ids_that_are_there_twice_are_told(tmp_path: Path, paint, load, kind: str) -> None:
    file = coco(tmp_path, paint)
    content = json.loads(file.read_text())
    content[kind].append(content[kind][0])
    file.write_text(json.dumps(content))
    with pytest.raises(BloomDiffError, match=f"{kind}: id . is there 2 times"):
        load("coco", file)
