from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from bloomdiff.data.images import read_rgb
from bloomdiff.data.importers import ClassRules
from bloomdiff.errors import InputError, ParameterError, ProblemsError


def annotation(
    name: str, *objects: tuple[str, tuple[object, ...]], size: tuple[int, int] = (60, 40)
) -> str:
    items = "".join(
        f"<object><name>{label}</name><difficult>0</difficult><bndbox><xmin>{box[0]}</xmin>"
        f"<ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"
        for label, box in objects
    )
    return (
        f"<annotation><folder>JPEGImages</folder><filename>{name}</filename>"
        f"<path>/home/pi/{name}</path><size><width>{size[0]}</width><height>{size[1]}</height>"
        f"<depth>3</depth></size><segmented>0</segmented>{items}</annotation>"
    )


class Fields:
    def __init__(self, root: Path, paint) -> None:
        self.root, self.paint = root, paint

    def add(
        self, name: str, *objects: tuple[str, tuple[object, ...]], **more: object
    ) -> np.ndarray:
        file = self.root / "Annotations" / Path(name).with_suffix(".xml")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(annotation(name, *objects, **more))  # type: ignore[arg-type]
        return self.paint(self.root / "JPEGImages" / name, 60, 40)


@pytest.fixture
def voc(tmp_path: Path, paint) -> Fields:
    return Fields(tmp_path / "voc", paint)


def test_each_object_is_a_crop_with_its_box_and_field(voc: Fields, load) -> None:
    field = voc.add("f0.png", ("WBC", (20, 10, 30, 16)), ("RBC", (0, 0, 8, 8)))
    voc.add("f1.png", ("RBC", (40, 20, 50, 30)))
    cells = load("voc", voc.root, {"margin": 0.2})
    assert cells["cell_id"].tolist() == [f"voc/JPEGImages/f{n}.png" for n in ("0-0", "0-1", "1-0")]
    assert cells["label"].tolist() == ["WBC", "RBC", "RBC"]
    assert cells["field"].tolist() == ["JPEGImages/f0.png"] * 2 + ["JPEGImages/f1.png"]
    assert cells["group"].tolist() == [f"voc/{name}" for name in cells["field"]]
    boxes = cells[["box_x", "box_y", "box_width", "box_height"]].to_numpy().tolist()
    assert boxes == [[20, 10, 10, 6], [0, 0, 8, 8], [40, 20, 10, 10]]
    out = voc.root.parent / "out"
    np.testing.assert_array_equal(read_rgb(out / cells["path"][0]), field[6:20, 18:32])
    assert (cells["width"][0], cells["height"][0]) == (14, 14)


def test_bad_boxes_are_clipped_or_skipped_and_told(
    voc: Fields, load, caplog: pytest.LogCaptureFixture
) -> None:
    voc.add(
        "f0.png",
        ("A", (5, 5, 5, 5)),
        ("B", (50, 30, 70, 50)),
        ("C", (70, 50, 90, 60)),
        ("D", (1, 1, 9, 9)),
    )
    cells = load("voc", voc.root, {"margin": 0.0})
    assert cells["label"].tolist() == ["B", "D"]
    assert cells["cell_id"].tolist() == ["voc/JPEGImages/f0-1.png", "voc/JPEGImages/f0-3.png"]
    assert cells.loc[0, ["box_x", "box_y", "box_width", "box_height"]].tolist() == [50, 30, 10, 10]
    told = [record.getMessage() for record in caplog.records]
    assert [line.rsplit(": ", 1)[1] for line in told] == ["skipped", "clipped", "skipped"]
    assert all("f0.png: " in line for line in told)


def test_the_image_sets_tell_the_split(voc: Fields, load) -> None:
    for name in ("a.png", "b.png", "c.png", "d.png"):
        voc.add(name, ("WBC", (1, 1, 9, 9)))
    sets = voc.root / "ImageSets" / "Main"
    sets.mkdir(parents=True)
    for split, field in (("train", "a"), ("val", "b"), ("test", "c")):
        (sets / f"{split}.txt").write_text(f"{field}\n")
    assert load("voc", voc.root)["split"].tolist() == ["train", "val", "test", ""]


def test_files_side_by_side_below_split_folders(tmp_path: Path, paint, load) -> None:
    for split in ("train", "valid"):
        paint(tmp_path / "flat" / split / "x.png", 60, 40)
        text = annotation("elsewhere/of/x.png", ("WBC", (1, 1, 9, 9)))
        (tmp_path / "flat" / split / "x.xml").write_text(text)
    assert load("voc", tmp_path / "flat")["split"].tolist() == ["train", "val"]


def test_groups_by_the_fields_path(voc: Fields, load) -> None:
    voc.add("P1_a.png", ("WBC", (1, 1, 9, 9)))
    voc.add("P1_b.png", ("WBC", (1, 1, 9, 9)))
    assert set(load("voc", voc.root, {"group": r"P\d+"})["group"]) == {"voc/P1"}


def test_an_image_unlike_its_annotation_is_refused(voc: Fields, load) -> None:
    voc.add("f0.png", ("WBC", (1, 1, 9, 9)), size=(40, 60))
    with pytest.raises(InputError, match=r"f0\.png: is 60x40 pixels but its annotation says 40x60"):
        load("voc", voc.root)


def test_a_size_of_zeros_is_not_told(voc: Fields, load) -> None:
    voc.add("f0.png", ("WBC", (1, 1, 9, 9)), size=(0, 0))
    assert len(load("voc", voc.root)) == 1


def test_broken_annotations_are_told_together(voc: Fields, load) -> None:
    for name in ("a", "b", "c", "d"):
        voc.add(f"{name}.png", ("WBC", (1, 1, 9, 9)))
    folder = voc.root / "Annotations"
    (folder / "a.xml").write_text("<annotation><object>")
    (folder / "b.xml").write_text('<!DOCTYPE x [<!ENTITY a "b">]><annotation/>')
    (folder / "c.xml").write_text(annotation("c.png", ("WBC", (1, "one", 9, 9))))
    (voc.root / "JPEGImages" / "d.png").unlink()
    with pytest.raises(ProblemsError) as caught:
        load("voc", voc.root)
    lines = str(caught.value).splitlines()
    for line, part in zip(
        lines,
        (
            "a.xml: is not XML",
            "declares XML entities",
            "c.xml: object 1: lacks",
            "d.png' is missing",
        ),
        strict=True,
    ):
        assert part in line


@pytest.fixture
def typed(voc: Fields) -> Fields:
    white, red = ("WBC", (20, 10, 30, 16)), ("RBC", (0, 0, 8, 8))
    voc.add("one.png", red, white)
    voc.add("two.png", white, white)
    voc.add("red.png", red)
    voc.add("many.png", white)
    voc.add("none.png", white)
    voc.add("untold.png", white)
    (voc.root / "types.csv").write_text(
        "image,types\none,EOSINOPHIL\ntwo.png,BASOPHIL\nred,BASOPHIL\n"
        'many,"NEUTROPHIL, MONOCYTE"\nnone,\n'
    )
    return voc


def test_types_label_the_only_white_cell(
    typed: Fields, load, caplog: pytest.LogCaptureFixture
) -> None:
    cells = load("voc", typed.root, {"types": str(typed.root / "types.csv")})
    assert cells["label"].tolist() == ["EOSINOPHIL"]
    assert cells["field"].tolist() == ["JPEGImages/one.png"]
    told = [record.getMessage().split(": ")[1] for record in caplog.records]
    assert told == [
        "1 field(s) have no WBC and were left out",
        "2 field(s) have no type and were left out",
        "1 field(s) have several WBC and were left out",
        "1 field(s) have several types and were left out",
    ]


def test_bad_tables_of_types(typed: Fields, load) -> None:
    types = typed.root / "types.csv"
    with pytest.raises(
        ParameterError, match="types_class 'WBX': has no object; did you mean 'WBC'"
    ):
        load("voc", typed.root, {"types": str(types), "types_class": "WBX"})
    types.write_text("image,types\none,EOSINOPHIL,3\n")
    with pytest.raises(InputError, match=r"types\.csv row 2: has 3 columns"):
        load("voc", typed.root, {"types": str(types)})
    with pytest.raises(InputError, match="cannot be read"):
        load("voc", typed.root, {"types": str(typed.root / "none.csv")})


def test_types_are_of_the_fields_that_they_name(tmp_path: Path, paint, load) -> None:
    root, types = tmp_path / "flat", tmp_path / "types.csv"
    for folder in ("a", "b"):
        paint(root / folder / "1.png", 60, 40)
        text = annotation("1.png", ("WBC", (20, 10, 30, 16)))
        (root / folder / "1.xml").write_text(text)
    types.write_text("image,types\n1,EOSINOPHIL\n")
    with pytest.raises(InputError, match=r"field '1': may be a/1\.png or b/1\.png; write"):
        load("voc", root, {"types": str(types)})
    types.write_text("image,types\na/1,EOSINOPHIL\n\na/1.png,BASOPHIL\n")
    with pytest.raises(InputError, match=r"types\.csv row 4: lists the field 'a/1\.png' again"):
        load("voc", root, {"types": str(types)})
    types.write_text("image,types\na/1,EOSINOPHIL\nb/1.png,BASOPHIL\n")
    found = load("voc", root, {"types": str(types)})
    assert found["label"].tolist() == ["EOSINOPHIL", "BASOPHIL"]


def test_a_field_in_two_splits_is_told(voc: Fields, load) -> None:
    voc.add("a.png", ("WBC", (1, 1, 9, 9)))
    sets = voc.root / "ImageSets" / "Main"
    sets.mkdir(parents=True)
    for split in ("train", "test"):
        (sets / f"{split}.txt").write_text("a\n")
    with pytest.raises(InputError, match=r"test\.txt: lists 'a', as does .*train\.txt"):
        load("voc", voc.root)


def test_a_size_without_end_is_not_told(voc: Fields, load) -> None:
    voc.add("a.png", ("WBC", (1, 1, 9, 9)))
    (file,) = voc.root.rglob("*.xml")
    file.write_text(re.sub("<width>.*?</width>", "<width>inf</width>", file.read_text()))
    assert len(load("voc", voc.root)) == 1


def test_a_folder_without_annotations(tmp_path: Path, load) -> None:
    with pytest.raises(InputError, match="holds no XML file"):
        load("voc", tmp_path)


def test_bccd_white_cells(real: Path, load) -> None:
    params = {"types": str(real / "bccd" / "wbc_types.csv")}
    cells = load("voc", real / "bccd", params, jobs=2)
    assert cells["label"].value_counts().to_dict() == {
        "NEUTROPHIL": 202,
        "EOSINOPHIL": 84,
        "LYMPHOCYTE": 33,
        "MONOCYTE": 20,
        "BASOPHIL": 2,
    }
    assert cells["group"].nunique() == 341


def test_one_source_takes_the_vocabularys_names(typed: Fields, load) -> None:
    params = {"types": str(typed.root / "types.csv")}
    cells = load("voc", typed.root, params, classes=ClassRules(common=True))
    assert cells["label"].tolist() == ["eosinophil"]


def test_bccd_tells_its_two_degenerate_boxes(
    real: Path, tmp_path: Path, load, caplog: pytest.LogCaptureFixture
) -> None:
    for field in ("BloodImage_00000", "BloodImage_00338", "BloodImage_00343"):
        for name in (f"Annotations/{field}.xml", f"JPEGImages/{field}.jpg"):
            (tmp_path / "bccd" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(real / "bccd" / name, tmp_path / "bccd" / name)
    load("voc", tmp_path / "bccd")
    told = sorted(record.getMessage() for record in caplog.records)
    assert len(told) == 2
    assert "BloodImage_00338.jpg: RBC box [504.0, 337.0, 504.0, 337.0] is degenerate" in told[0]
    assert "BloodImage_00343.jpg: RBC box [181.0, 329.0, 181.0, 329.0] is degenerate" in told[1]


ENTITIES = (
    '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'
    "<annotation><filename>&b;</filename></annotation>"
)
DECLARATION = '<?xml version="1.0" encoding="{}"?>'


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ("ISO-8859-1", "latin-1"),
        ("windows-1252", "cp1252"),
        ("gb2312", "gb2312"),
        ("utf-8", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("utf-16", "utf-16-be"),
        ("utf-16", "utf-8"),  # what a program writes that thinks in UTF-16
        ("", "utf-8"),
        ("", "utf-16-le"),
    ],
)
def test_the_declared_encoding_is_obeyed(voc: Fields, load, declared: str, encoding: str) -> None:
    label = "嗜酸" if encoding == "gb2312" else "Éosinophile"
    voc.add("f0.png", (label, (1, 1, 9, 9)))
    file = voc.root / "Annotations" / "f0.xml"
    start = DECLARATION.format(declared) if declared else ""
    text = start + annotation("f0.png", (label, (1, 1, 9, 9)))
    file.write_bytes(text.encode(encoding))
    assert load("voc", voc.root)["label"].tolist() == [label]


@pytest.mark.parametrize("declared", ["ISO-8859-1", "utf-16", "utf-7", "cp037", ""])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16", "utf-16-le", "utf-16-be", "utf-7"]
)
def test_no_encoding_hides_entities(voc: Fields, load, declared: str, encoding: str) -> None:
    voc.add("haha.png", ("WBC", (1, 1, 9, 9)))
    start = DECLARATION.format(declared) if declared else ""
    file = voc.root / "Annotations" / "haha.xml"
    body = ENTITIES.encode(encoding)
    file.write_bytes(
        start.encode() + body if encoding == "utf-7" else (start + ENTITIES).encode(encoding)
    )
    with pytest.raises(
        InputError, match=r"haha\.xml: (declares XML entities|is not XML|is not in)"
    ):
        load("voc", voc.root)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (annotation("f0.png", ("É", (1, 1, 9, 9))).encode("latin-1"), "is not in the encoding"),
        (DECLARATION.format("klingon").encode() + b"<annotation/>", "unknown encoding: klingon"),
        (DECLARATION.format("rot13").encode() + b"<annotation/>", "is not a text encoding"),
    ],
)
def test_an_encoding_that_does_not_fit_is_one_line(
    voc: Fields, load, data: bytes, told: str
) -> None:
    voc.add("f0.png", ("WBC", (1, 1, 9, 9)))
    (voc.root / "Annotations" / "f0.xml").write_bytes(data)
    with pytest.raises(InputError, match=rf"f0\.xml: .*{told}.*; mend the declaration"):
        load("voc", voc.root)


def test_suffixes_in_any_case_and_linked_folders(voc: Fields, load) -> None:
    for name in ("a.png", "b.png"):
        voc.add(name, ("WBC", (1, 1, 9, 9)))
    (voc.root / "Annotations" / "b.xml").rename(voc.root / "Annotations" / "b.XML")
    sets = voc.root.parent / "sets" / "Main"
    sets.mkdir(parents=True)
    (sets / "train.txt").write_text("a\n")
    (sets / "test.txt").write_text("b\n")
    (voc.root / "ImageSets").symlink_to(sets.parent)
    assert load("voc", voc.root)["split"].tolist() == ["train", "test"]
    (sets / "test.txt").write_bytes(b"\xc9\n")
    with pytest.raises(InputError, match=r"test\.txt: is not UTF-8 .*; save it as UTF-8"):
        load("voc", voc.root, replace=True)


@pytest.mark.parametrize("images", ["JPEGImages", "images"])
def test_the_folder_of_annotations_itself_may_be_given(
    tmp_path: Path, paint, load, images: str
) -> None:
    (tmp_path / "set" / "xml").mkdir(parents=True)
    (tmp_path / "set" / "xml" / "f.xml").write_text(annotation("f.png", ("a", (1, 1, 9, 9))))
    paint(tmp_path / "set" / images / "f.png", 60, 40)
    cells = load("voc", tmp_path / "set" / "xml", source="lab")
    assert cells["field"].tolist() == [f"{images}/f.png"]


def test_an_annotation_that_cannot_be_read_is_one_line(voc: Fields, load) -> None:
    voc.add("f.png", ("a", (1, 1, 9, 9)))
    (voc.root / "Annotations" / "g.xml").symlink_to("nowhere.xml")
    with pytest.raises(InputError, match=r"g\.xml: cannot be read \(No such file"):
        load("voc", voc.root)


def test_an_image_set_that_cannot_be_read_is_one_line(voc: Fields, load) -> None:
    voc.add("f.png", ("a", (1, 1, 9, 9)))
    (voc.root / "ImageSets" / "Main").mkdir(parents=True)
    (voc.root / "ImageSets" / "Main" / "train.txt").symlink_to("nowhere.txt")
    with pytest.raises(InputError, match=r"train\.txt: cannot be read \(No such file"):
        load("voc", voc.root)


def test_the_image_sets_beside_the_folder_of_annotations_count(
    voc: Fields, load, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b.png"):
        voc.add(name, ("WBC", (1, 1, 9, 9)))
    assert load("voc", voc.root / "Annotations")["split"].tolist() == ["", ""]
    sets = voc.root / "ImageSets" / "Main"
    sets.mkdir(parents=True)
    (sets / "test.txt").write_text("b\n")
    found = load("voc", voc.root / "Annotations", replace=True)
    assert found["split"].tolist() == ["", "test"]
    monkeypatch.chdir(voc.root)
    assert load("voc", Path("Annotations"), replace=True)["split"].tolist() == ["", "test"]


def test_a_file_name_that_no_file_can_have_is_one_line(voc: Fields, load) -> None:
    voc.add("a.png", ("WBC", (1, 1, 9, 9)))
    (voc.root / "JPEGImages" / "a.png").unlink()
    text = annotation("y" * 300 + ".png", ("WBC", (1, 1, 9, 9)))
    (voc.root / "Annotations" / "a.xml").write_text(text)
    with pytest.raises(InputError, match=r"a\.xml: its image 'yyy.* is missing"):
        load("voc", voc.root)


@pytest.mark.parametrize("name", [".", "/"])
def test_a_row_of_types_that_names_no_field_is_one_line(typed: Fields, load, name: str) -> None:
    types = typed.root / "types.csv"
    types.write_text(f"image,types\none,EOSINOPHIL\n{name},Mono\n")
    with pytest.raises(InputError, match=rf"types\.csv row 3: '{name}' names no field"):
        load("voc", typed.root, {"types": str(types)})
