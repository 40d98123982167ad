"""Queues laid out, in one go and whole: sizes, boxes, contact sheets, several formats."""

from pathlib import Path

import pytest
from lab import FIELD, make
from PIL import ExifTags, Image, ImageDraw
from typer.testing import CliRunner

from bloomdiff.cli import app
from bloomdiff.data.manifest import read_manifest, write_manifest
from bloomdiff.errors import BloomDiffError, InputError, ParameterError
from bloomdiff.selection.exchange import FORMATS, Sheet, contact
from bloomdiff.selection.limits import Limits
from bloomdiff.selection.plan import Plan, build_queue

PLAN = Plan(strategy="random", limits=Limits(objects=5))


def test_a_blank_size_is_read_from_the_image(tmp_path):
    cells, embeddings = make(tmp_path)
    blank = cells.assign(width=[24, *[""] * 47], height="")
    write_manifest(blank, tmp_path / "manifest.csv")
    queue = build_queue(read_manifest(tmp_path / "manifest.csv"), embeddings, PLAN)
    queue.save(tmp_path / "queue.parquet")
    sheet = Sheet.of(queue, tmp_path)
    assert {cell.size for cell in sheet.cells} == {(24, 24)}
    (tmp_path / sheet.cells[0].crop).unlink()
    with pytest.raises(InputError, match=r"cell-\d+\.png: is no readable image; restore the file"):
        Sheet.of(queue, tmp_path)


@pytest.mark.parametrize("spoil", ["no columns", "blank"])
def test_fields_without_boxes_are_told(spoil, tmp_path):
    cells, embeddings = make(tmp_path, images=False)
    for name in set(cells["field"]):
        Image.new("RGB", FIELD, "white").save(tmp_path / name)
    boxes = ["box_x", "box_y", "box_width", "box_height"]
    bare = cells.drop(columns=boxes)
    cells = bare if spoil == "no columns" else bare.assign(**dict.fromkeys(boxes, ""))
    queue = build_queue(cells, embeddings, PLAN)
    with pytest.raises(InputError) as caught:
        Sheet.of(queue, tmp_path, tmp_path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 5
    assert lines[0].endswith("has no box in its field of view; leave --fields out")


def test_a_field_that_is_stored_on_its_side_is_measured_upright(tmp_path):
    cells, embeddings = make(tmp_path, images=False)
    turned = Image.new("RGB", FIELD[::-1], "white")
    turned.getexif()[ExifTags.Base.Orientation] = 6
    for name in set(cells["field"]):
        turned.save(tmp_path / name, exif=turned.getexif())
    sheet = Sheet.of(build_queue(cells, embeddings, PLAN), tmp_path, tmp_path)
    assert {cell.size for cell in sheet.cells} == {FIELD}


def test_a_missing_field_is_told_once_with_the_folder_that_is_meant(tmp_path):
    cells, embeddings = make(tmp_path, images=False)
    queue = build_queue(cells, embeddings, Plan(strategy="random", limits=Limits(objects=36)))
    asked = queue.table["field"].nunique()
    assert asked < len(queue.table)
    with pytest.raises(InputError) as caught:
        Sheet.of(queue, tmp_path, tmp_path)
    lines = str(caught.value).splitlines()
    assert len(lines) == asked
    assert lines[0].endswith("name the folder that the manifest's column field is below")


def test_a_damaged_crop_leaves_everything_as_it_was(tmp_path, monkeypatch):
    cells, embeddings = make(tmp_path / "data")
    write_manifest(cells, tmp_path / "data" / "manifest.csv")
    embeddings.save(tmp_path / "embeddings" / "cells.parquet")
    monkeypatch.chdir(tmp_path)
    formats = [word for name in ("coco", "label-studio", "csv") for word in ("--format", name)]
    call = ["select", "--strategy", "random", "--jobs", "1", "--no-look", *formats]
    assert CliRunner().invoke(app, [*call, "-n", "36"], catch_exceptions=False).exit_code == 0
    files = [path for path in Path("selection").rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}

    for path in Path("data/images/lab").glob("*"):
        path.write_bytes(path.read_bytes()[:80])
    with pytest.raises(BloomDiffError, match="the image is damaged"):
        CliRunner().invoke(app, [*call, "-n", "7", "--fresh"], catch_exceptions=False)
    files = [path for path in Path("selection").rglob("*") if path.is_file()]
    assert {path: path.read_bytes() for path in files} == before


def drawn(sheet, path, monkeypatch):
    """The words of a contact sheet."""
    words = []
    draw = ImageDraw.ImageDraw.text
    monkeypatch.setattr(
        ImageDraw.ImageDraw,
        "text",
        lambda pen, at, text, *rest: (words.append(text), draw(pen, at, text, *rest)),
    )
    FORMATS["png"]().write(sheet, path)
    return words


def test_a_contact_sheet_tells_what_it_leaves_out(tmp_path, monkeypatch):
    cells, embeddings = make(tmp_path / "data")
    sheet = Sheet.of(build_queue(cells, embeddings, PLAN), tmp_path / "data")
    monkeypatch.setattr(contact, "MOST_CELLS", 3)
    monkeypatch.setattr(contact.ContactSheet, "most", 3)
    assert "the first 3 of 5 cells" in drawn(sheet, tmp_path / "sheet.png", monkeypatch)

    write_manifest(cells, tmp_path / "data" / "manifest.csv")
    embeddings.save(tmp_path / "embeddings" / "cells.parquet")
    monkeypatch.chdir(tmp_path)
    call = ["select", "-n", "5", "--jobs", "1", "--no-look", "--format", "png"]
    told = CliRunner().invoke(app, call, catch_exceptions=False).stdout
    assert "contact_sheet.png (the first 3 of 5 cells)" in told


def test_a_long_class_name_keeps_its_probability(tmp_path, monkeypatch):
    cells, embeddings = make(tmp_path)
    queue = build_queue(cells, embeddings, PLAN)
    table = queue.table.assign(predicted="a_cell_of_a_class_with_a_very_long_name", confidence=0.69)
    sheet = Sheet.of(type(queue)(table, queue.review, queue.header), tmp_path)
    words = drawn(sheet, tmp_path / "sheet.png", monkeypatch)
    assert words.count("0.69") == 5
    assert sum(w.startswith("a_cell_of_a_class") and w.endswith("...") for w in words) == 5


@pytest.mark.parametrize("name", ["min_cosine", "min_iou"])
@pytest.mark.parametrize("value", [float("nan"), -3.0, 0.0, 99.5])
def test_likeness_is_above_0_and_at_most_1(name, value):
    with pytest.raises(ParameterError, match=f"{name}: is {value}; give a number above 0"):
        Plan(**{name: value})


def test_one_picture_is_not_shown_for_the_fields_of_two_sources(tmp_path):
    cells, embeddings = make(tmp_path, images=False)
    cells.loc[24:, ["source", "field"]] = ["other", "field-3.png"]
    Image.new("RGB", FIELD, "white").save(tmp_path / "field-3.png")
    for name in set(cells["field"]):
        Image.new("RGB", FIELD, "white").save(tmp_path / name)
    plan = Plan(strategy="random", limits=Limits(objects=20), min_iou=1.0)
    queue = build_queue(cells, embeddings, plan)
    with pytest.raises(InputError, match=r"is in field 'field-3.png', as are cells of source"):
        Sheet.of(queue, tmp_path, tmp_path)
    assert len(
        Sheet.of(
            queue.__class__(
                queue.table[queue.table["source"] == "lab"], queue.review, queue.header
            ),
            tmp_path,
            tmp_path,
        ).cells
    )
