from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bloomdiff.data.images import read_rgb
from bloomdiff.errors import InputError, ParameterError, ProblemsError


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_our_own_names_need_no_mapping(tmp_path: Path, paint, load, snapshot) -> None:
    for name in ("a.png", "deep/b.jpg"):
        paint(tmp_path / "lab" / name)
    file = write(
        tmp_path / "lab" / "cells.csv",
        "path,label,group,split,age\na.png,EOS,p1,train,60\ndeep/b.jpg,,p1,Validation,\n",
    )
    cells = load("csv", file, source="lab")
    assert cells["cell_id"].tolist() == ["lab/a.png", "lab/deep/b.jpg"]
    assert cells["label"].tolist() == ["EOS", ""]
    assert cells["group"].tolist() == ["lab/p1", "lab/p1"]
    assert cells["split"].tolist() == ["train", "val"]
    copied = snapshot(tmp_path / "out")["images/lab/a.png"]
    assert copied == (tmp_path / "lab" / "a.png").read_bytes()


def test_columns_are_mapped_by_name(tmp_path: Path, paint, load) -> None:
    paint(tmp_path / "images" / "a.png")
    file = write(tmp_path / "t.csv", "\ufeffDatei;Diagnose;label\n a.png ;NA;ignored\n")
    params = {
        "columns": {"path": "Datei", "label": "Diagnose"},
        "separator": ";",
        "images": str(tmp_path / "images"),
    }
    assert load("csv", file, params)["label"].tolist() == ["NA"]


def test_without_labels_cells_are_unlabelled(tmp_path: Path, paint, load) -> None:
    paint(tmp_path / "a.png")
    cells = load("csv", write(tmp_path / "t.csv", "path\na.png\n"))
    assert cells["label"].tolist() == [""]
    assert cells["group"].tolist() == ["t/a.png"]


def test_a_group_by_the_path_where_no_column_tells_it(tmp_path: Path, paint, load) -> None:
    for name in ("P1_a.png", "P1_b.png"):
        paint(tmp_path / name)
    file = write(tmp_path / "t.csv", "path\nP1_a.png\nP1_b.png\n")
    assert set(load("csv", file, {"group": r"P\d"})["group"]) == {"t/P1"}


def test_boxes_are_cut_out_whatever_the_order_of_rows(tmp_path: Path, paint, load) -> None:
    paint(tmp_path / "g.png", 60, 40)
    field = paint(tmp_path / "f.png", 60, 40)
    text = "path,label,box_x,box_y,box_width,box_height\n"
    text += "f.png,a,20,10,10,6\ng.png,b,0,0,8,8\nf.png,c,0,0,8,8\ng.png,whole,,,,\n"
    cells = load("csv", write(tmp_path / "t.csv", text), {"margin": 0.2})
    assert cells["cell_id"].tolist() == ["t/f-0.png", "t/f-2.png", "t/g-1.png", "t/g.png"]
    assert cells["label"].tolist() == ["a", "c", "b", "whole"]
    assert cells["field"].tolist() == ["f.png", "f.png", "g.png", ""]
    np.testing.assert_array_equal(read_rgb(tmp_path / "out" / cells["path"][0]), field[6:20, 18:32])
    assert cells["group"].tolist() == ["t/f.png", "t/f.png", "t/g.png", "t/g.png"]


def test_bad_rows_are_told_together(tmp_path: Path, paint, load) -> None:
    paint(tmp_path / "a.png")
    text = "path,split,box_x,box_y,box_width,box_height\n"
    text += (
        "../a.png,,,,,\nnone.png,,,,,\na.png,half,,,,\na.png,,1,2,x,4\na.png,,1,,3,4\n/a.png,,,,,\n"
    )
    with pytest.raises(ProblemsError) as caught:
        load("csv", write(tmp_path / "t.csv", text))
    lines = sorted(str(caught.value).splitlines())
    for number, (line, part) in enumerate(
        zip(
            lines,
            ("leaves the folder", "no such image", "'half' is unknown", "four", "four", "leaves"),
            strict=True,
        ),
        start=2,
    ):
        assert f"t.csv row {number}: " in line
        assert part in line


def test_tables_that_do_not_fit(tmp_path: Path, load) -> None:
    file = write(tmp_path / "t.csv", "pfad,label\na.png,b\n")
    with pytest.raises(ParameterError, match=r"has no column 'path' for path"):
        load("csv", file)
    with pytest.raises(ParameterError, match=r"no column 'pfd' for path; .*did you mean 'pfad'"):
        load("csv", file, {"columns": {"path": "pfd"}})
    with pytest.raises(ParameterError, match=r"columns\.colour"):
        load("csv", file, {"columns": {"colour": "x"}})
    file.write_text("path,box_x\na.png,3\n")
    with pytest.raises(InputError, match="a part of a box: no box_y, box_width, box_height"):
        load("csv", file)
    file.write_bytes(b"path\n\xff\xfe\n")
    with pytest.raises(InputError, match=r"t\.csv: is no table"):
        load("csv", file)
    with pytest.raises(InputError, match="is no table"):
        load("csv", tmp_path)
    file.write_text("path,label\n")
    with pytest.raises(InputError, match="holds no cell"):
        load("csv", file)


def test_one_image_twice_is_refused(tmp_path: Path, paint, load) -> None:
    paint(tmp_path / "a.png")
    file = write(tmp_path / "t.csv", "path,label\na.png,x\na.png,y\n")
    with pytest.raises(InputError, match=r"a\.png: is the name of two cells"):
        load("csv", file)


def test_spaces_around_the_names_of_columns_do_not_count(tmp_path: Path, paint, load) -> None:
    paint(tmp_path / "a.png")
    cells = load("csv", write(tmp_path / "t.csv", "path, label, group\na.png, mono, p1\n"))
    assert cells[["label", "group"]].values.tolist() == [["mono", "t/p1"]]


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("path,Label,group", "'Label', which is not read as label; give --column label=Label if"),
        ("path,label,GROUP", "'GROUP', which is not read as group; give --column group=GROUP if"),
        ("path,label,Box X", "'Box X', which is not read as box_x; give --column 'box_x=Box X' if"),
        ("path,label,box-width", "'box-width', which is not read as box_width"),
    ],
)
def test_a_column_of_ours_but_for_its_spelling_is_refused(
    tmp_path: Path, paint, load, header: str, told: str
) -> None:
    paint(tmp_path / "a.png")
    file = write(tmp_path / "t.csv", f"{header}\na.png,1,2\n")
    with pytest.raises(ParameterError) as caught:
        load("csv", file)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_was_mapped_may_be_spelled_like_ours(tmp_path: Path, paint, load) -> None:
    paint(tmp_path / "a.png")
    file = write(tmp_path / "t.csv", "path,Label,Type\na.png,mono,lym\n")
    assert load("csv", file, {"columns": {"label": "Label"}})["label"].tolist() == ["mono"]
    again = {"columns": {"label": " Type"}}
    assert load("csv", file, again, replace=True)["label"].tolist() == ["lym"]


def test_two_of_our_columns_may_be_one_of_theirs(tmp_path: Path, paint, load) -> None:
    for name in ("a.png", "b.png"):
        paint(tmp_path / name)
    file = write(tmp_path / "t.csv", "path,Diagnosis\na.png,mono\nb.png,lym\n")
    cells = load("csv", file, {"columns": {"label": "Diagnosis", "group": "Diagnosis"}})
    assert cells["label"].tolist() == ["mono", "lym"]
    assert cells["group"].tolist() == ["t/mono", "t/lym"]
    file = write(tmp_path / "t.csv", "id\na.png\nb.png\n")
    cells = load("csv", file, {"columns": {"path": "id", "group": "id"}}, replace=True)
    assert cells["group"].tolist() == ["t/a.png", "t/b.png"]


def test_separators_behind_the_last_column_change_nothing(tmp_path: Path, paint, load) -> None:
    for name in ("a.png", "b.png"):
        paint(tmp_path / name)
    for number, rows in enumerate(
        ["a.png,x,\nb.png,y,", "a.png,x\nb.png,y,,", "a.png,x,\nb.png,y"]
    ):
        file = write(tmp_path / "t.csv", f"path,label{',' * number}\n{rows}\n")
        cells = load("csv", file, replace=True)
        assert cells[["cell_id", "label"]].values.tolist() == [["t/a.png", "x"], ["t/b.png", "y"]]


def test_a_field_too_many_is_one_line(tmp_path: Path, paint, load) -> None:
    paint(tmp_path / "a.png")
    file = write(tmp_path / "t.csv", "path,label\na.png,x\n\na.png,large, pale\na.png,a,b\n")
    with pytest.raises(InputError) as caught:
        load("csv", file)
    assert "t.csv row 4: has more fields than the header has columns" in str(caught.value)
    assert "(the first is ' pale'), as have 1 other rows" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_blank_lines_are_counted_as_rows(tmp_path: Path, paint, load) -> None:
    paint(tmp_path / "a.png")
    file = write(tmp_path / "t.csv", 'path,label\n\na.png,"two\nlines"\n  \nnope.png,x\n')
    with pytest.raises(InputError, match=r"t\.csv row 5: no such image"):
        load("csv", file)


def test_a_column_twice_is_refused(tmp_path: Path, paint, load) -> None:
    paint(tmp_path / "a.png")
    file = write(tmp_path / "t.csv", "path,label, label\na.png,x,y\n")
    with pytest.raises(InputError, match=r"t\.csv row 1: names the column 'label' twice"):
        load("csv", file)


def test_crops_of_one_field_share_a_group_whatever_the_rows_say(
    tmp_path: Path, paint, load
) -> None:
    from bloomdiff.data.duplicates import DuplicateParams, group_duplicates

    paint(tmp_path / "f.png", 60, 40)
    text = "path,label,group,box_x,box_y,box_width,box_height\n"
    text += "f.png,a,p1,10,10,20,20\nf.png,b,,12,11,20,20\n"
    cells = load("csv", write(tmp_path / "t.csv", text))
    assert cells["group"].tolist() == ["t/p1", "t/f.png"]
    joined = group_duplicates(cells, tmp_path / "out", DuplicateParams(), jobs=1)
    assert joined["group"].tolist() == ["t/f.png", "t/f.png"]


def test_a_field_is_one_group_however_its_path_is_spelled(tmp_path: Path, paint, load) -> None:
    paint(tmp_path / "s" / "f.png", 60, 40)
    paint(tmp_path / "s" / "g.png", 60, 40)
    text = "path,label,box_x,box_y,box_width,box_height\n"
    spelled = ("s/f.png", "s/g.png", "./s/f.png", "s//f.png", "s\\f.png")
    text += "".join(f"{path},a,{5 * at},5,20,20\n" for at, path in enumerate(spelled))
    cells = load("csv", write(tmp_path / "t.csv", text))
    assert cells["group"].value_counts().to_dict() == {"t/s/f.png": 4, "t/s/g.png": 1}
    assert set(cells["field"]) == {"s/f.png", "s/g.png"}


def test_paths_that_lead_nowhere_are_told_with_a_mend(tmp_path: Path, load) -> None:
    file = write(tmp_path / "t.csv", f"path,label\n{'x' * 300}.png,a\n/elsewhere/a.png,a\n")
    with pytest.raises(ProblemsError) as caught:
        load("csv", file)
    first, second = str(caught.value).splitlines()
    assert "t.csv row 2: no such image" in first
    assert "t.csv row 3: path '/elsewhere/a.png' leaves the folder" in second
    assert "relative to that folder" in second
