from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bloomdiff.data.images import read_rgb
from bloomdiff.errors import InputError, ProblemsError

BOX = "0.5 0.5 0.25 0.5"  # of 60x40: 22.5 to 37.5 across, 10 to 30 down


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("layout", ["{kind}/{split}/{name}", "{split}/{kind}/{name}"])
def test_ultralytics_layouts(tmp_path: Path, paint, load, layout: str) -> None:
    root = tmp_path / "set"
    write(root / "data.yaml", "train: images/train\nnc: 2\nnames: [lymphocyte, monocyte]\n")
    for split in ("train", "val"):
        paint(root / layout.format(kind="images", split=split, name="x.png"), 60, 40)
        text = f"1 {BOX}\n\n0 0.1 0.1 0.2 0.2\n"
        write(root / layout.format(kind="labels", split=split, name="x.txt"), text)
    cells = load("yolo", root, {"margin": 0.0})
    assert cells["label"].tolist() == ["monocyte", "lymphocyte"] * 2
    assert cells["split"].tolist() == ["train", "train", "val", "val"]
    boxes = cells[["box_x", "box_y", "box_width", "box_height"]].to_numpy()
    np.testing.assert_allclose(boxes[:2], [[22.5, 10, 15, 20], [0, 0, 12, 8]], atol=1e-9)
    field = read_rgb(root / layout.format(kind="images", split="train", name="x.png"))
    np.testing.assert_array_equal(
        read_rgb(tmp_path / "out" / cells["path"][0]), field[10:30, 20:40]
    )
    assert cells["group"].nunique() == 2


def test_darknets_layout(tmp_path: Path, paint, load) -> None:
    write(tmp_path / "set" / "classes.txt", "lymphocyte\nmonocyte\n")
    paint(tmp_path / "set" / "x.jpg", 60, 40)
    write(tmp_path / "set" / "x.txt", f"1 {BOX}\n")
    assert load("yolo", tmp_path / "set")["label"].tolist() == ["monocyte"]


def test_names_as_a_mapping_and_the_path_of_the_yaml(tmp_path: Path, paint, load) -> None:
    write(tmp_path / "set" / "data.yml", "names:\n  0: a\n  3: 1e3\n")
    paint(tmp_path / "set" / "images" / "x.png", 60, 40)
    write(tmp_path / "set" / "labels" / "x.txt", f"3 {BOX}")
    assert load("yolo", tmp_path / "set" / "data.yml")["label"].tolist() == ["1e3"]


def test_a_polygon_gives_its_bounding_box(tmp_path: Path, paint, load) -> None:
    write(tmp_path / "set" / "classes.txt", "a")
    paint(tmp_path / "set" / "x.png", 60, 40)
    write(tmp_path / "set" / "x.txt", "0 0.5 0.25 0.75 0.5 0.5 0.75 0.25 0.5")
    cell = load("yolo", tmp_path / "set").iloc[0]
    assert (cell.box_x, cell.box_y, cell.box_width, cell.box_height) == (15, 10, 30, 20)


def test_images_without_labels_are_told(
    tmp_path: Path, paint, load, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "set" / "classes.txt", "a")
    for name in ("x", "y", "z"):
        paint(tmp_path / "set" / f"{name}.png", 60, 40)
    with pytest.raises(InputError, match="holds no label file"):
        load("yolo", tmp_path / "set")
    write(tmp_path / "set" / "x.txt", f"0 {BOX}")
    assert len(load("yolo", tmp_path / "set")) == 1
    assert "2 image(s) have no label file" in caplog.text


def test_bad_lines_and_orphans_are_told_together(tmp_path: Path, paint, load) -> None:
    root = tmp_path / "set"
    write(root / "data.yaml", "names: [a, b]")
    paint(root / "images" / "x.png", 60, 40)
    write(root / "labels" / "x.txt", f"0 {BOX}\n2 {BOX}\n0 0.5 0.5\n0 a b c d\n1.5 {BOX}\n")
    write(root / "labels" / "gone.txt", f"0 {BOX}")
    with pytest.raises(ProblemsError) as caught:
        load("yolo", root)
    for line, part in zip(
        str(caught.value).splitlines(),
        (
            "gone.txt: has no image",
            "x.txt row 2: class 2 has no name; known: 0 to 1",
            "x.txt row 3: has 2 numbers",
            "x.txt row 4: '0 a b c d' is not all numbers",
            "x.txt row 5: class 1.5 has no name",
        ),
        strict=True,
    ):
        assert part in line


def test_boxes_that_leave_the_field(
    tmp_path: Path, paint, load, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "set" / "classes.txt", "a")
    paint(tmp_path / "set" / "x.png", 60, 40)
    write(tmp_path / "set" / "x.txt", "0 1.0 0.5 0.5 0.5\n0 0.5 0.5 0 0.5\n0 nan 0.5 0.5 0.5\n")
    cells = load("yolo", tmp_path / "set")
    assert cells[["box_x", "box_width"]].to_numpy().tolist() == [[45, 15]]
    assert [r.getMessage().rsplit(" ", 1)[1] for r in caplog.records] == [
        "clipped",
        "skipped",
        "skipped",
    ]


def test_classes_must_be_named(tmp_path: Path, paint, load) -> None:
    paint(tmp_path / "set" / "x.png", 60, 40)
    with pytest.raises(InputError, match="does not name its classes"):
        load("yolo", tmp_path / "set")
    write(tmp_path / "set" / "data.yaml", "names: {a: b}")
    with pytest.raises(InputError, match=r"data\.yaml: names: is no list of class names"):
        load("yolo", tmp_path / "set")
    write(tmp_path / "empty" / "classes.txt", "a")
    with pytest.raises(InputError, match="holds no image"):
        load("yolo", tmp_path / "empty")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("data.yaml", "names: [Éos]".encode("latin-1"), r"data\.yaml: is not UTF-8"),
        ("classes.txt", "Éos".encode("latin-1"), r"classes\.txt: is not UTF-8"),
        ("data.yaml", b"names: 5", r"data\.yaml: names: is no list of class names"),
        ("data.yaml", b"names: abc", r"data\.yaml: names: is no list of class names"),
    ],
)
def test_class_names_that_cannot_be_read_are_one_line(
    tmp_path: Path, paint, load, name: str, content: bytes, told: str
) -> None:
    paint(tmp_path / "set" / "x.png", 60, 40)
    write(tmp_path / "set" / "x.txt", f"0 {BOX}")
    (tmp_path / "set" / name).write_bytes(content)
    with pytest.raises(InputError, match=told):
        load("yolo", tmp_path / "set")


def test_suffixes_in_any_case(tmp_path: Path, paint, load) -> None:
    root = tmp_path / "set"
    write(root / "data.YAML", "names: [a, b]")
    for number, suffix in enumerate(("txt", "TXT")):
        paint(root / "images" / f"{number}.png", 60, 40)
        write(root / "labels" / f"{number}.{suffix}", f"{number} {BOX}")
    assert load("yolo", root)["label"].tolist() == ["a", "b"]


@pytest.mark.parametrize("name", ["classes.txt", "data.yaml"])
def test_lists_of_classes_that_disagree_are_never_chosen_from(
    tmp_path: Path, paint, load, name: str
) -> None:
    root = tmp_path / "set"
    form = "names: [{}, {}]" if name == "data.yaml" else "{}\n{}\n"
    for part, classes in (("a", ("blast", "monocyte")), ("b", ("monocyte", "blast"))):
        paint(root / part / f"{part}.png", 60, 40)
        write(root / part / f"{part}.txt", f"0 {BOX}")
        write(root / part / name, form.format(*classes))
    with pytest.raises(InputError, match=rf"b/{name}: names other classes than .*a/{name}; "):
        load("yolo", root)
    write(root / "b" / name, form.format("blast", "monocyte"))
    assert load("yolo", root)["label"].tolist() == ["blast", "blast"]


def test_a_label_file_that_cannot_be_read_is_one_line(tmp_path: Path, paint, load) -> None:
    write(tmp_path / "set" / "classes.txt", "a")
    paint(tmp_path / "set" / "x.png", 60, 40)
    (tmp_path / "set" / "x.txt").symlink_to("nowhere.txt")
    with pytest.raises(InputError, match=r"x\.txt: cannot be read \(No such file"):
        load("yolo", tmp_path / "set")


def test_darknets_labels_without_their_image_are_told(tmp_path: Path, paint, load) -> None:
    root = tmp_path / "set"
    write(root / "classes.txt", "a")
    paint(root / "x.png", 60, 40)
    write(root / "x.txt", f"0 {BOX}")
    write(root / "notes.txt", "0 0.5 0.5 0.25 0.5\ntaken by two people\n")
    write(root / "counts.txt", "12\n7 8\n")
    write(root / "empty.txt", "\n")
    write(root / "docs" / "far.txt", f"0 {BOX}")
    assert len(load("yolo", root)) == 1
    write(root / "gone.txt", f"0 {BOX} 0.9\n\n0 {BOX}\n")
    with pytest.raises(InputError, match=r"gone\.txt: has no image; restore it or drop the labels"):
        load("yolo", root, replace=True)


def test_a_copy_of_the_labels_among_the_images_is_no_orphan(tmp_path: Path, paint, load) -> None:
    root = tmp_path / "set"
    write(root / "data.yaml", "names: [a]")
    paint(root / "images" / "x.png", 60, 40)
    for folder in ("images", "labels"):
        write(root / folder / "x.txt", f"0 {BOX}")
    assert len(load("yolo", root)) == 1
