from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bloomdiff.data.images import pixel_digest
from bloomdiff.data.manifest import read_manifest, write_manifest
from bloomdiff.data.schema import is_inside
from bloomdiff.data.validate import validate_manifest
from bloomdiff.errors import BloomDiffError, InputError, ProblemsError

N = 6


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for number in range(N):
        path = tmp_path / "images" / "lab" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        rgb = rng.integers(0, 256, (7, 5 + number, 3), dtype=np.uint8)
        Image.fromarray(rgb).save(path)
    return tmp_path


@pytest.fixture
def cells(root: Path) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "cell_id": [f"c{number}" for number in range(N)],
            "path": [f"images/lab/{number}.png" for number in range(N)],
            "label": ["a", "b", "a", "b", "", "a"],
            "group": ["p", "p", "q", "", "q", "q"],
            "split": "",
            "source": "lab",
            "width": "",
            "height": "",
            "blake3": "",
        }
    )


def told(cells: pd.DataFrame, root: Path, **more: object) -> list[str]:
    with pytest.raises(BloomDiffError) as caught:
        validate_manifest(cells, root, jobs=1, **more)
    return str(caught.value).splitlines()


def test_sizes_digests_and_lone_groups_are_filled_in(cells: pd.DataFrame, root: Path) -> None:
    found = validate_manifest(cells, root, jobs=1)
    for number, row in enumerate(found.itertuples()):
        rgb = np.asarray(Image.open(root / row.path))
        assert (row.height, row.width) == rgb.shape[:2] == (7, 5 + number)
        assert row.blake3 == pixel_digest(rgb)
    assert found["width"].dtype == found["height"].dtype == np.int64
    assert found["group"].tolist() == ["p", "p", "q", "c3", "q", "q"]
    unchanged = ["cell_id", "path", "label", "split", "source"]
    pd.testing.assert_frame_equal(found[unchanged], cells[unchanged], check_dtype=False)
    pd.testing.assert_frame_equal(validate_manifest(found, root, jobs=1), found)


def test_it_survives_the_way_through_the_file(cells: pd.DataFrame, root: Path) -> None:
    found = validate_manifest(cells, root, jobs=1)
    for name in ("manifest.csv", "cells.parquet"):
        write_manifest(found, root / name)
        again = validate_manifest(read_manifest(root / name), root, jobs=1)
        pd.testing.assert_frame_equal(again, found, check_dtype=False)


def test_sizes_half_empty_as_pandas_reads_them(cells: pd.DataFrame, root: Path) -> None:
    full = validate_manifest(cells, root, jobs=1)
    gaps = full.assign(width=full["width"].astype(float).where(full.index != 2))
    assert validate_manifest(gaps, root, jobs=1)["width"].tolist() == full["width"].tolist()


def test_other_columns_and_the_order_of_rows_stay(cells: pd.DataFrame, root: Path) -> None:
    odd = cells.assign(stain="Wright").sample(frac=1, random_state=1)
    found = validate_manifest(odd, root, jobs=1)
    assert found["cell_id"].tolist() == odd["cell_id"].tolist()
    assert set(found["stain"]) == {"Wright"}


@pytest.mark.parametrize(
    ("column", "value", "line"),
    [
        ("cell_id", "c1", "row 2: cell_id 'c1' is there twice"),
        ("cell_id", "", "row 2: cell_id '' is empty"),
        ("path", "images/lab/1.png", "row 2: path 'images/lab/1.png' is there twice"),
        ("path", "../x.png", "row 2: path '../x.png' leaves"),
        ("path", "/etc/x.png", "row 2: path '/etc/x.png' leaves"),
        ("path", "images/../../x.png", "row 2: path 'images/../../x.png' leaves"),
        ("path", "C:\\x.png", "row 2: path 'C:\\\\x.png' leaves"),
        ("path", "", "row 2: path '' leaves"),
        ("path", "images/none.png", "none.png: no such image; restore the file or drop its row"),
        ("path", "images/a\0.png", "row 2: path 'images/a\\x00.png' leaves"),
        ("path", "images/a\r.png", "row 2: path 'images/a\\r.png' holds a carriage return"),
        ("cell_id", "c\t1", "row 2: cell_id 'c\\t1' is empty or has spaces around it or control"),
        ("label", " a", "row 2: label ' a' has spaces around it"),
        ("label", "large\rcell", r"label 'large\rcell' has spaces around it or control characters"),
        ("label", "a\n", r"row 2: label 'a\n' has spaces around it or control characters"),
        ("group", "p\x7f1", r"row 2: group 'p\x7f1' has spaces around it or control characters"),
        ("source", "lab\n2", r"source 'lab\n2' is empty or has spaces around it or control"),
        ("label", "B", "labels 'B' and 'b' differ in spelling alone"),
        ("group", "p ", "row 2: group 'p ' has spaces"),
        ("split", "tset", "row 2: split 'tset' is not a split"),
        ("source", "", "row 2: source '' is empty"),
        ("width", "wide", "row 2: width 'wide' is not a size"),
        ("width", "-5", "row 2: width '-5' is not a size"),
        ("width", "5.5", "row 2: width '5.5' is not a size"),
        ("width", "6", "row 2: width is 6, but the image's is 5"),
        ("height", "0", "row 2: height '0' is not a size"),
        ("height", "8", "row 2: height is 8, but the image's is 7"),
        ("blake3", "abc", "row 2: blake3 'abc' is not a BLAKE3 digest"),
        ("blake3", "0" * 64, f"row 2: blake3 is {'0' * 64}, but the image's is "),
    ],
)
def test_each_check_can_fail(
    cells: pd.DataFrame, root: Path, column: str, value: str, line: str
) -> None:
    cells.loc[0, column] = value
    lines = told(cells, root)
    assert any(line in text for text in lines), lines
    assert all(str(root) in text and "; " in text for text in lines)


def test_box_columns_are_checked_where_they_are(cells: pd.DataFrame, root: Path) -> None:
    boxed = cells.assign(field="f.png", box_x=1.5, box_y=0.0, box_width=4.0, box_height=1e-5)
    validate_manifest(boxed, root, jobs=1)
    boxed["box_x"] = boxed["box_x"].astype(object)
    boxed.loc[3, "box_x"] = "left"
    assert "row 5: box_x 'left' is not a number of pixels" in told(boxed, root)[0]
    boxed = boxed.assign(box_x=1.5, field=["f\r.png"] * N)
    assert r"row 2: field 'f\r.png' has spaces around it or control" in told(boxed, root)[0]


def test_all_problems_are_told_at_once_in_the_order_of_rows(
    cells: pd.DataFrame, root: Path
) -> None:
    (root / "images" / "lab" / "3.png").write_bytes(b"damaged")
    (root / "images" / "lab" / "2.png").unlink()
    shutil.copy(root / "images" / "lab" / "0.png", root / "images" / "extra.png")
    cells.loc[5, "split"] = "half"
    cells.loc[0, "height"] = "9"
    lines = told(cells, root)
    assert [line.split(": ")[0].removeprefix(str(root)) for line in lines] == [
        "/manifest.csv row 2",
        f"/manifest.csv row 4, {root}/images/lab/2.png",
        f"/manifest.csv row 5, {root}/images/lab/3.png",
        "/manifest.csv row 7",
        "/images/extra.png",
    ]
    assert "has no row in the manifest" in lines[-1]


def test_a_digest_catches_a_changed_image(cells: pd.DataFrame, root: Path) -> None:
    full = validate_manifest(cells, root, jobs=1)
    path = root / "images" / "lab" / "4.png"
    rgb = np.asarray(Image.open(path)).copy()
    rgb[0, 0, 0] ^= 1
    Image.fromarray(rgb).save(path)
    (line,) = told(full, root)
    assert "row 6: blake3 is" in line


def test_known_labels(cells: pd.DataFrame, root: Path) -> None:
    validate_manifest(cells, root, classes=["a", "b", "c"], jobs=1)
    (line,) = told(cells, root, classes=["a", "bb"])
    assert "row 3: label 'b' is unknown; did you mean 'bb'?" in line


def test_signs_tell_labels_apart(cells: pd.DataFrame, root: Path) -> None:
    cells["label"] = ["CD34+", "CD34-", "CD34", "", "", ""]
    validate_manifest(cells, root, jobs=1)
    cells["label"] = ["smudge cell", "Smudge_cell", "", "", "", ""]
    assert "differ in spelling alone" in told(cells, root)[0]


def test_labels_that_look_alike_are_one(cells: pd.DataFrame, root: Path) -> None:
    cells["label"] = ["\u00c9os", "E\u0301os", "\u00c9os", "", "", ""]
    (line,) = told(cells, root)
    assert r"row 3: labels '\xc9os' and 'E\u0301os' differ in spelling alone" in line


@pytest.mark.parametrize("other", ["lab/P", "Lab/p", "lab/ｐ", "lab/p\u200b", "\u2060lab/p"])
def test_groups_that_look_alike_are_one(cells: pd.DataFrame, root: Path, other: str) -> None:
    cells["group"] = ["lab/p", "lab/q", other, other, "lab/q", ""]
    (line,) = told(cells, root)
    assert "row 4: groups 'lab/p' and " in line
    assert "differ in spelling alone; write one of them for one patient" in line


def test_groups_that_differ_in_spaces_are_one_and_the_spaces_are_shown(
    cells: pd.DataFrame, root: Path
) -> None:
    cells["group"] = ["slide 1", "slide  1", "slide 2", "slide1", "slide_1", ""]
    (line,) = told(cells, root)
    assert r"row 3: groups 'slide 1' and 'slide\x20 1' differ in spelling alone" in line


def test_labels_that_differ_in_a_sign_without_width_are_one(
    cells: pd.DataFrame, root: Path
) -> None:
    cells["label"] = ["blast", "bla\u00adst", "", "", "", ""]
    assert r"'blast' and 'bla\xadst' differ in spelling alone" in told(cells, root)[0]


def test_groups_in_two_forms_of_unicode_are_one(cells: pd.DataFrame, root: Path) -> None:
    cells["group"] = ["jos\u00e9", "jose\u0301", "jose", "", "", ""]
    (line,) = told(cells, root)
    assert r"row 3: groups 'jos\xe9' and 'jose\u0301' differ in spelling alone" in line


def test_cells_and_fields_that_differ_in_capitals_are_two(cells: pd.DataFrame, root: Path) -> None:
    cells["cell_id"] = ["lab/a", "lab/A", "lab/b", "lab/c", "lab/d", "lab/e"]
    cells["group"] = ["lab/a", "lab/A", "lab/F.png", "lab/f.png", "", "lab/q"]
    boxes = dict.fromkeys(["box_x", "box_y"], 0.0) | dict.fromkeys(["box_width", "box_height"], 4.0)
    boxed = cells.assign(field=["", "", "F.png", "f.png", "", ""], **boxes)
    validate_manifest(boxed, root, jobs=1)
    # Joined with others, as duplicates are, they keep the name.
    boxed["group"] = ["lab/a", "lab/A", "lab/F.png", "lab/f.png", "lab/a", "lab/A"]
    validate_manifest(boxed, root, jobs=1)


def test_tables_without_rows_or_columns(cells: pd.DataFrame, root: Path) -> None:
    with pytest.raises(InputError, match="lists no cell"):
        validate_manifest(cells.iloc[:0], root)
    with pytest.raises(InputError, match="lacks split, blake3"):
        validate_manifest(cells.drop(columns=["split", "blake3"]), root)


def test_two_processes_find_what_one_finds(cells: pd.DataFrame, root: Path) -> None:
    found = validate_manifest(cells, root, jobs=2)
    pd.testing.assert_frame_equal(found, validate_manifest(cells, root, jobs=1))
    (root / "images" / "lab" / "3.png").write_bytes(b"damaged")
    (root / "images" / "lab" / "2.png").unlink()
    with pytest.raises(ProblemsError) as caught:
        validate_manifest(cells, root, jobs=2)
    assert str(caught.value).splitlines() == told(cells, root)


@pytest.mark.parametrize("path", ["a.png", "images/a b/c.png", "..a/b.png", "a..png"])
def test_paths_inside(path: str) -> None:
    assert is_inside(path)


@pytest.mark.parametrize("path", ["", ".", "..", "a/../../b", "/a", "\\a", "a\\..\\b", "c:/a"])
def test_paths_outside(path: str) -> None:
    assert not is_inside(path)
