from __future__ import annotations

from pathlib import Path

import pytest

from bloomdiff.errors import InputError, ProblemsError


def test_the_first_folder_names_the_class_at_any_depth(tmp_path: Path, paint, load) -> None:
    for name in ("BLA/0001-1000/BLA_1.jpg", "BLA/1001-2000/BLA_1.jpg", "EOS/x.TIFF"):
        paint(tmp_path / "lab" / name)
    cells = load("folder", tmp_path / "lab")
    assert cells["label"].tolist() == ["BLA", "BLA", "EOS"]
    assert cells["split"].tolist() == ["", "", ""]


def test_folders_named_after_splits_are_the_official_split(tmp_path: Path, paint, load) -> None:
    for name in ("Train/a/1.png", "valid/a/2.png", "test/b/3.png"):
        paint(tmp_path / "lab" / name)
    cells = load("folder", tmp_path / "lab")
    assert cells["label"].tolist() == ["a", "b", "a"]
    assert cells["split"].tolist() == ["train", "test", "val"]


@pytest.mark.parametrize("folders", [("TRAIN", "TEST", "TEST_SIMPLE"), ("test", "EOS", "LYM")])
def test_splits_beside_other_folders_are_refused(
    tmp_path: Path, paint, load, folders: tuple[str, ...]
) -> None:
    for folder in folders:
        paint(tmp_path / "lab" / folder / "b" / "1.png")
    with pytest.raises(InputError, match=r"holds '(TEST_SIMPLE' beside TEST, TRAIN|EOS', 'LYM' b)"):
        load("folder", tmp_path / "lab")
    assert not (tmp_path / "out").exists()
    pool = load("folder", tmp_path / "lab", {"unlabelled": True})
    assert set(pool["label"]) == {""}


def test_links_to_folders_are_followed_and_end(tmp_path: Path, paint, load) -> None:
    lab, elsewhere = tmp_path / "lab", tmp_path / "elsewhere"
    paint(lab / "EOS" / "1.png")
    paint(elsewhere / "deep" / "2.png")
    (lab / "LYM").symlink_to(elsewhere)
    (lab / "MON").symlink_to(elsewhere / "deep")
    (elsewhere / "back").symlink_to(lab)  # to a folder that leads here
    (lab / "EOS" / "here").symlink_to(".")
    (lab / "EOS" / "up").symlink_to(tmp_path)  # above the root
    cells = load("folder", lab)
    ids = ["lab/EOS/1.png", "lab/LYM/deep/2.png", "lab/MON/2.png"]
    assert cells["cell_id"].tolist() == ids
    assert cells["label"].tolist() == ["EOS", "LYM", "MON"]


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [
        (r"P\d+", ["lab/P1", "lab/P1", "lab/P22"]),
        (r"P(\d+)_", ["lab/1", "lab/1", "lab/22"]),
        ("", ["lab/a/P1_1.png", "lab/a/P1_2.png", "lab/b/P22_1.png"]),
    ],
)
def test_groups_by_regular_expression(
    tmp_path: Path, paint, load, pattern: str, groups: list[str]
) -> None:
    for name in ("a/P1_1.png", "a/P1_2.png", "b/P22_1.png"):
        paint(tmp_path / "lab" / name)
    assert load("folder", tmp_path / "lab", {"group": pattern})["group"].tolist() == groups


def test_images_without_group_or_class_are_all_named(tmp_path: Path, paint, load) -> None:
    for name in ("a/P1.png", "a/q.png", "loose.png"):
        paint(tmp_path / "lab" / name)
    with pytest.raises(ProblemsError) as caught:
        load("folder", tmp_path / "lab", {"group": r"P\d"})
    first, second = str(caught.value).splitlines()
    assert "q.png: no group: 'P\\\\d' does not match" in first
    assert "loose.png: lies in no class folder" in second
    assert not (tmp_path / "out").exists()


def test_an_unlabelled_pool(tmp_path: Path, paint, load) -> None:
    for name in ("a/1.png", "loose.png"):
        paint(tmp_path / "lab" / name)
    cells = load("folder", tmp_path / "lab", {"unlabelled": True})
    assert cells["label"].tolist() == ["", ""]


def test_other_files_are_told_and_hidden_ones_are_not(
    tmp_path: Path, paint, load, caplog: pytest.LogCaptureFixture
) -> None:
    lab = tmp_path / "lab"
    for name in ("a/1.png", "a/.hidden.png", "__MACOSX/a/1.png", ".trash/b/2.png"):
        paint(lab / name)
    for name in ("README.md", "a/x.gif", "a/y.gif", "a/Thumbs"):
        (lab / name).write_text("x")
    assert len(load("folder", lab)) == 1
    told = [record.getMessage() for record in caplog.records]
    assert sum("2 .gif file(s)" in line for line in told) == 1
    assert len(told) == 3
    assert not any("hidden" in line or "MACOSX" in line for line in told)


def test_folders_without_images_are_refused(tmp_path: Path, load) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no image"):
        load("folder", tmp_path / "empty")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is not a folder"):
        load("folder", tmp_path / "file")


@pytest.mark.parametrize(
    ("name", "classes", "cells"),
    [("pbc-examples", 8, 160), ("pbc-thirteen", 13, 1850), ("bone-marrow", 6, 1500)],
)
def test_real_cells(real: Path, load, name: str, classes: int, cells: int) -> None:
    found = load("folder", real / name)
    assert found["label"].nunique() == classes
    assert len(found) == cells
