from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bloomdiff.data.manifest import (
    CELL_COLUMNS,
    NUMBERS,
    read_csv,
    read_manifest,
    write_manifest,
)
from bloomdiff.errors import InputError


def cells() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "cell_id": ["b", "a", "NA"],
            "path": ["images/b.png", "images/a, 1.png", 'images/"c".png'],
            "label": ["lymphocyte", "", "null"],
            "group": ["007", "s1", "nan"],
            "split": ["train", "", "test"],
            "source": ["x", "x", "y"],
            "width": [10, 20, 30],
            "height": [11, 21, 31],
            "blake3": ["0" * 64, "1e5" + "0" * 61, ""],
            "field": ["", "f", ""],
        }
    )


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_what_is_written_is_read_again_sorted_and_untouched(tmp_path, suffix):
    path = tmp_path / f"manifest.{suffix}"
    write_manifest(cells(), path)
    expected = cells().sort_values("cell_id", ignore_index=True)
    read = read_manifest(path)
    # '007', 'NA', 'null' and '1e5000' are names, neither numbers nor missing values.
    assert read.astype(str).to_dict("records") == expected.astype(str).to_dict("records")
    assert (read["width"] + 1).tolist() == [31, 21, 11]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_order_of_rows_does_not_change_a_byte(tmp_path, suffix):
    one, two = tmp_path / f"one.{suffix}", tmp_path / f"two.{suffix}"
    write_manifest(cells(), one)
    write_manifest(cells().iloc[::-1], two)
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("column", CELL_COLUMNS)
def test_a_missing_column_is_named(tmp_path, column):
    path = tmp_path / "manifest.csv"
    cells().drop(columns=column).to_csv(path, index=False)
    with pytest.raises(InputError, match=f"lacks the columns {column}; add them"):
        read_manifest(path)


def test_a_missing_file_says_how_to_import(tmp_path):
    with pytest.raises(InputError, match="no such file; import images"):
        read_manifest(tmp_path / "manifest.csv")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.csv", b""),
        ("m.csv", b'a,b\n"1,2\n3'),
        ("m.csv", b"\xff\xfe\x00"),
        ("m.parquet", b"PAR1"),
    ],
)
def test_what_is_no_table_is_one_line_that_names_the_file(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_manifest(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rows", [slice(1, None), slice(0, None), slice(2, 3)])
def test_separators_behind_the_last_column_change_nothing(tmp_path, rows):
    path = tmp_path / "manifest.csv"
    write_manifest(cells(), path)
    expected = read_manifest(path)
    lines = path.read_text().splitlines()
    lines[rows] = [line + "," for line in lines[rows]]
    path.write_text("\n".join(lines) + "\n\n")
    pd.testing.assert_frame_equal(read_manifest(path), expected)


def test_surplus_fields_and_blank_lines_are_told_by_row(tmp_path):
    path = tmp_path / "manifest.csv"
    write_manifest(cells(), path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], lines[2] + ",more", *lines[3:]]))
    with pytest.raises(InputError, match=r"manifest\.csv row 3: has more fields .* 'more'"):
        read_manifest(path)
    path.write_text("\n".join([*lines[:2], "", *lines[2:]]))
    with pytest.raises(InputError, match=r"manifest\.csv row 3: is blank; remove the line"):
        read_manifest(path)


def test_numbers_and_names_are_read_as_pandas_reads_them(tmp_path):
    path = tmp_path / "manifest.csv"
    boxes = {"box_x": [0.1, 1e-17, 12.30000000000001], "score": [0.30000000000000004, None, 1]}
    write_manifest(cells().assign(**boxes, width=[10, None, 30], stain="HE"), path)
    text = {c: str for c in pd.read_csv(path).columns if c not in NUMBERS}
    expected = pd.read_csv(path, dtype=text, keep_default_na=False)
    pd.testing.assert_frame_equal(read_manifest(path), expected)


def test_what_others_wrote_is_kept_as_it_stands(tmp_path):
    path = tmp_path / "manifest.csv"
    ours = {"p.monocyte": [0.25, 0.5, 1.0]}
    theirs = {"patient": ["007", "7", "1e3"], "day": ["2026-01-01", "", "NA"]}
    written = cells().assign(**ours, **theirs).sort_values("cell_id")
    write_manifest(written, path)
    before = path.read_bytes()
    back = read_manifest(path)
    for name in (*ours, *theirs):
        assert back[name].tolist() == written[name].tolist()
    write_manifest(back, path)
    assert path.read_bytes() == before


def test_a_column_has_one_type_in_a_long_table_too(tmp_path: Path) -> None:
    """Pandas looks for it in parts of 131,072 rows, of which the first may be full of numbers."""
    n = 140_000
    wide = ["cell_id", "box_x", *(f"more{i}" for i in range(10))]  # fewer columns, longer parts
    lines = [f"c{i:06d},{'1.5' if i < 135_000 else ''}" + ",a" * 10 for i in range(n)]
    (tmp_path / "t.csv").write_text("\n".join([",".join(wide), *lines]) + "\n")
    table, _ = read_csv(tmp_path / "t.csv", numeric=lambda column: column == "box_x")
    assert {type(value) for value in table["box_x"]} == {str}
    table.to_parquet(tmp_path / "t.parquet")


@pytest.mark.parametrize("kind", ["str", object, "category"])
def test_a_bare_carriage_return_ends_no_row(tmp_path: Path, kind) -> None:
    path = tmp_path / "manifest.csv"
    notes = pd.Series(["seen\rtwice", "two\r\nlines", None], dtype=kind)
    write_manifest(cells().assign(note=notes, **{"p.a\rb": 0.5}), path)
    back = read_manifest(path).set_index("cell_id")
    assert back["note"].to_dict() == {"b": "seen\ntwice", "a": "two\r\nlines", "NA": ""}
    assert back["p.a\nb"].tolist() == [0.5] * 3
