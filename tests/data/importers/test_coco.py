from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bloomdiff.data.images import read_rgb
from bloomdiff.errors import InputError, ProblemsError


def coco(*images: str, **changes: Any) -> dict[str, Any]:
    """A COCO file whose first image has two cells, the others none."""
    content = {
        "info": {"year": 2017},
        "licenses": [],
        "images": [
            {"id": n, "file_name": name, "width": 60, "height": 40, "date_captured": ""}
            for n, name in enumerate(images)
        ],
        "categories": [
            {"id": 1, "name": "lymphocyte", "supercategory": "cell"},
            {"id": 7, "name": "monocyte"},
        ],
        "annotations": [
            {"id": 4, "image_id": 0, "category_id": 7, "bbox": [20, 10, 10, 6], "iscrowd": 0},
            {"id": 5, "image_id": 0, "category_id": 1, "bbox": [0.5, 0.5, 8, 8], "area": 64},
        ],
    }
    return content | changes


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def test_the_published_layout(tmp_path: Path, paint, load) -> None:
    root = tmp_path / "set"
    for split in ("train", "val"):
        paint(root / f"{split}2017" / "x.png", 60, 40)
        write(root / "annotations" / f"instances_{split}2017.json", coco("x.png"))
    write(root / "annotations" / "captions_train2017.json", {"annotations": []})
    cells = load("coco", root, {"margin": 0.2})
    assert cells["cell_id"].tolist() == [
        f"set/{split}2017/x-{n}.png" for split in ("train", "val") for n in (0, 1)
    ]
    assert cells["split"].tolist() == ["train", "train", "val", "val"]
    assert cells["label"].tolist() == ["monocyte", "lymphocyte"] * 2
    assert cells["box_x"].tolist() == [20.0, 0.5] * 2
    assert cells["group"].nunique() == 2
    field = read_rgb(root / "train2017" / "x.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "out" / cells["path"][0]), field[6:20, 18:32])


def test_roboflows_layout(tmp_path: Path, paint, load) -> None:
    for split in ("train", "valid", "test"):
        paint(tmp_path / "set" / split / "x.jpg", 60, 40)
        write(tmp_path / "set" / split / "_annotations.coco.json", coco("x.jpg"))
    assert (
        load("coco", tmp_path / "set")["split"].tolist()
        == ["test", "test"] + ["train"] * 2 + ["val"] * 2
    )


@pytest.mark.parametrize("place", ["labels.json", "annotations/labels.json"])
@pytest.mark.parametrize("images", ["", "images/"])
def test_one_file_finds_its_images(tmp_path: Path, paint, load, place: str, images: str) -> None:
    paint(tmp_path / "set" / images / "deep" / "x.png", 60, 40)
    cells = load("coco", write(tmp_path / "set" / place, coco("deep/x.png")))
    assert cells["field"].str.endswith("deep/x.png").all()
    assert len(cells) == 2


def test_a_folder_of_images_can_be_told(tmp_path: Path, paint, load) -> None:
    file = write(tmp_path / "set" / "labels.json", coco("x.png"))
    paint(tmp_path / "elsewhere" / "x.png", 60, 40)
    with pytest.raises(
        InputError, match=r"its image 'x\.png' is missing; give --set images=FOLDER"
    ):
        load("coco", file)
    cells = load("coco", file, {"images": str(tmp_path / "elsewhere")})
    assert len(cells) == 2


def test_crowds_are_left_out_and_told(
    tmp_path: Path, paint, load, caplog: pytest.LogCaptureFixture
) -> None:
    paint(tmp_path / "set" / "x.png", 60, 40)
    content = coco("x.png")
    content["annotations"][0]["iscrowd"] = 1
    del content["annotations"][0]["bbox"]  # as where only the mask is told
    content["annotations"][1]["iscrowd"] = content["images"][0]["width"] = None
    file = write(tmp_path / "set" / "a.json", content)
    assert len(load("coco", file)) == 1
    assert "1 annotation(s) of crowds were left out" in caplog.text
    del content["annotations"][1]["bbox"]
    write(file, content)
    with pytest.raises(InputError, match=r"a\.json: annotations\.1\.bbox: is missing"):
        load("coco", file, replace=True)


def test_a_field_of_another_size_is_refused(tmp_path: Path, paint, load) -> None:
    paint(tmp_path / "set" / "x.png", 30, 20)
    with pytest.raises(InputError, match="is 30x20 pixels but its annotation says 60x40"):
        load("coco", write(tmp_path / "set" / "a.json", coco("x.png")))


def test_references_and_paths_that_lead_nowhere_are_told_together(
    tmp_path: Path, paint, load
) -> None:
    paint(tmp_path / "set" / "x.png", 60, 40)
    content = coco("x.png", "../y.png", "z.png")
    content["annotations"] += [
        {"image_id": 9, "category_id": 1, "bbox": [0, 0, 9, 9]},
        {"image_id": 0, "category_id": 2, "bbox": [0, 0, 9, 9]},
    ]
    with pytest.raises(ProblemsError) as caught:
        load("coco", write(tmp_path / "set" / "a.json", content))
    for line, part in zip(
        str(caught.value).splitlines(),
        ("annotations.2: image_id 9", "annotations.3: category_id 2", "image 1", "z.png: no such"),
        strict=True,
    ):
        assert part in line


def test_other_json_is_refused_with_its_place(tmp_path: Path, load) -> None:
    content = coco("x.png")
    content["annotations"][1]["bbox"] = [1, 2, "three", 4]
    file = write(tmp_path / "a.json", content)
    with pytest.raises(InputError, match=r"a\.json: annotations\.1\.bbox\.2: input should be"):
        load("coco", file)
    file.write_text("[1")
    with pytest.raises(InputError, match=r"a\.json: the file: invalid JSON"):
        load("coco", file)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no COCO file"):
        load("coco", tmp_path / "empty")


@pytest.mark.parametrize("inner", ["test", "test/_annotations.coco.json"])
def test_the_split_is_kept_where_its_folder_or_file_is_given(
    tmp_path: Path, paint, load, inner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint(tmp_path / "set" / "test" / "x.jpg", 60, 40)
    write(tmp_path / "set" / "test" / "_annotations.coco.json", coco("x.jpg"))
    assert set(load("coco", tmp_path / "set" / inner)["split"]) == {"test"}
    monkeypatch.chdir(tmp_path / "set" / inner.partition("/")[0])
    file = Path(Path(inner).name) if "/" in inner else Path()
    assert set(load("coco", file, replace=True)["split"]) == {"test"}


def test_a_file_name_that_no_file_can_have_is_one_line(tmp_path: Path, paint, load) -> None:
    paint(tmp_path / "set" / "x.png", 60, 40)
    name = "y" * 300 + ".png"
    with pytest.raises(InputError, match=r"yyy\.png: no such image; restore it"):
        load("coco", write(tmp_path / "set" / "a.json", coco("x.png", name)))
    with pytest.raises(InputError, match=r"its image 'yyy.* is missing; give --set images"):
        load("coco", write(tmp_path / "set" / "a.json", coco(name)))
    with pytest.raises(InputError, match="image 1: its path leaves the folder"):
        load("coco", write(tmp_path / "set" / "a.json", coco("x.png", "y\0.png")))
