import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from bloomdiff.data.folds import FoldParams, make_folds
from bloomdiff.data.importers import import_cells
from bloomdiff.errors import BloomDiffError

Draw = Callable[..., Path]
CLASSES = ("Basophil", "Eosinophil", "Lymphocyte", "Monocyte", "Neutrophil")


@pytest.fixture
def archive(tmp_path: Path, draw: Draw) -> Path:
    """Train and TestA share the smear 95-8-12-4, as they do in the published lists."""
    root = tmp_path / "Cropped_double_labeled"
    for kind in CLASSES:
        draw(root / "Train" / kind / "95-8-10-1_1034_2.jpg", (57, 57), seed=f"{kind}1")
        draw(root / "Train" / kind / "95-8-12-4_59_1.jpg", (57, 57), seed=f"{kind}2")
        draw(root / "TestA" / kind / "95-8-12-4_85_1.jpg", (57, 57), seed=f"{kind}3")
        draw(root / "TestA" / kind / "95-8-6-1_344_1.jpg", (57, 57), seed=f"{kind}4")
    for kind in ("Lymphocyte", "Neutrophil"):
        draw(root / "TestB" / kind / "1_2.jpg", (57, 57), seed=f"{kind}5")
    return root


def test_official_split_and_smears(
    archive: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        cells = import_cells("raabin", archive, tmp_path / "data", jobs=1)
    assert cells["split"].value_counts().to_dict() == {"train": 10, "test": 10}
    assert set(cells["group"]) == {
        "raabin/95-8-10-1",
        "raabin/95-8-12-4",
        "raabin/95-8-6-1",
    }
    assert set(cells["label"]) == {kind.lower() for kind in CLASSES}
    assert set(cells["source"]) == {"raabin"}
    assert "TestB: another microscope, left out" in caplog.text


def test_folds_by_the_official_split_do_not_share_smears(archive: Path, tmp_path: Path) -> None:
    cells = import_cells("raabin", archive, tmp_path / "data", jobs=1)
    folds = make_folds(cells, FoldParams(scheme="official"), seed=0)
    role = folds.set_index("cell_id")["role"]
    group = cells.set_index("cell_id")["group"]
    tested = set(group[role[role == "test"].index])
    trained = set(group[role[role == "train"].index])
    assert tested == {"raabin/95-8-12-4", "raabin/95-8-6-1"}
    assert trained == {"raabin/95-8-10-1"}


def test_the_other_microscope_is_a_source_of_its_own(archive: Path, tmp_path: Path) -> None:
    import_cells("raabin", archive, tmp_path / "data", jobs=1)
    cells = import_cells("raabin", archive, tmp_path / "data", {"part": "b"}, jobs=1, append=True)
    other = cells[cells["source"] == "raabin-testb"]
    assert sorted(other["label"]) == ["lymphocyte", "neutrophil"]
    assert set(other["split"]) == {""}
    assert len(cells) == 22


def test_other_parts_of_the_set_are_told(
    archive: Path, tmp_path: Path, draw: Draw, caplog: pytest.LogCaptureFixture
) -> None:
    draw(archive / "GrTh" / "Ground Truth" / "Basophil" / "1.png")
    with caplog.at_level(logging.WARNING):
        cells = import_cells("raabin", archive, tmp_path / "data", jobs=1)
    assert len(cells) == 20
    assert "GrTh: not of the double-labelled crops, left out" in caplog.text


def test_names_in_any_case_and_folders_of_a_second_unpacking(tmp_path: Path, draw: Draw) -> None:
    root = tmp_path / "in"
    draw(root / "train" / "Lymphocyte" / "95-8-10-1_1_1.jpg")
    draw(root / "train" / "Lymphocyte-1" / "95-8-10-1_1_1.jpg", seed="other")
    draw(root / "testA" / "Lymphocyte" / "95-8-6-1_1_1.jpg")
    cells = import_cells("raabin", root, tmp_path / "data", jobs=1)
    assert cells["label"].tolist() == ["lymphocyte"] * 3


def test_names_without_smear_are_told(
    tmp_path: Path, draw: Draw, caplog: pytest.LogCaptureFixture
) -> None:
    draw(tmp_path / "in" / "Train" / "Monocyte" / "renamed.jpg")
    draw(tmp_path / "in" / "TestA" / "Monocyte" / "95-8-6-1_1_1.jpg")
    with caplog.at_level(logging.WARNING):
        cells = import_cells("raabin", tmp_path / "in", tmp_path / "data", jobs=1)
    assert "1 file names tell no smear" in caplog.text
    assert cells["group"].nunique() == 2


def test_archives_that_are_still_packed_are_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "Train.rar").write_bytes(b"Rar!")
    with pytest.raises(BloomDiffError, match=r"Train\.rar: is still packed; .*unar"):
        import_cells("raabin", tmp_path / "in", tmp_path / "data", jobs=1)


def test_a_missing_part_is_told(archive: Path, tmp_path: Path) -> None:
    (archive / "TestA").rename(archive / "elsewhere")
    with pytest.raises(BloomDiffError, match="lacks the folder testa"):
        import_cells("raabin", archive, tmp_path / "data", jobs=1)


def test_a_folder_of_no_class_is_told(archive: Path, tmp_path: Path, draw: Draw) -> None:
    draw(archive / "Train" / "Burst" / "95-8-10-1_7_7.jpg")
    with pytest.raises(BloomDiffError, match="lies in no class folder; expected Neutrophil"):
        import_cells("raabin", archive, tmp_path / "data", jobs=1)


def test_another_layout_is_one_line(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path / "in" / "Neutrophil" / "x.jpg")
    with pytest.raises(BloomDiffError, match="holds no folder Train, TestA or TestB"):
        import_cells("raabin", tmp_path / "in", tmp_path / "data", jobs=1)
