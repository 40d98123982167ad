from collections.abc import Callable
from pathlib import Path

import pytest

from bloomdiff.data.importers import import_cells
from bloomdiff.data.vocabulary import codes, to_vocabulary
from bloomdiff.errors import BloomDiffError

Draw = Callable[..., Path]


@pytest.fixture
def archive(tmp_path: Path, draw: Draw) -> Path:
    """The folder as the Cancer Imaging Archive packs it: RGBA TIFF, annotations, abbreviations."""
    package = tmp_path / "PKG - AML-Cytomorphology_LMU"
    rows = []
    for code in codes("matek-2019"):
        for number in (1, 2):
            name = f"{code}/{code}_{number:04}.tiff"
            draw(package / "AML-Cytomorphology" / name, (40, 40), "RGBA")
            rows.append(f"{name} {code} {'nan nan' if number == 1 else f'{code} nan'}")
    (package / "annotations.dat").write_text("\n".join(rows) + "\n")
    (package / "abbreviations.txt").write_text("BAS Basophil\n")
    return package


@pytest.mark.parametrize("below", ["", "AML-Cytomorphology"])
def test_every_class_from_any_level(archive: Path, tmp_path: Path, below: str) -> None:
    cells = import_cells("matek-2019", archive / below, tmp_path / "data", jobs=1)
    assert len(cells) == 30
    assert set(cells["source"]) == {"matek-2019"}
    expected = {code: to_vocabulary("matek-2019", code) for code in codes("matek-2019")}
    told = dict(zip(cells["cell_id"].str.split("/").str[1], cells["label"], strict=True))
    assert told == expected
    assert cells["cell_id"].iloc[0] == "matek-2019/BAS/BAS_0001.tiff"
    assert (cells["group"] == cells["cell_id"]).all()
    assert cells[["width", "height"]].eq(40).all().all()


def test_without_annotations_folders_are_believed(archive: Path, tmp_path: Path) -> None:
    (archive / "annotations.dat").unlink()
    assert len(import_cells("matek-2019", archive, tmp_path / "data", jobs=1)) == 30


def test_a_file_in_the_wrong_folder_is_told(archive: Path, tmp_path: Path) -> None:
    root = archive / "AML-Cytomorphology"
    (root / "MYO" / "MYO_0001.tiff").rename(root / "MYB" / "MYO_0001.tiff")
    with pytest.raises(BloomDiffError, match=r"MYB/MYO_0001\.tiff: is not told of"):
        import_cells("matek-2019", archive, tmp_path / "data", jobs=1)
    assert not (tmp_path / "data").exists()


def test_a_label_that_differs_is_told(archive: Path, tmp_path: Path) -> None:
    table = archive / "annotations.dat"
    table.write_text(table.read_text().replace("NGS_0001.tiff NGS", "NGS_0001.tiff NGB"))
    with pytest.raises(BloomDiffError, match=r"NGS_0001\.tiff: is neutrophil_band in annotations"):
        import_cells("matek-2019", archive, tmp_path / "data", jobs=1)


@pytest.mark.parametrize("row", ["BAS/BAS_0001.tiff", "BAS/BAS_0001.tiff XXX nan nan", "?"])
def test_a_damaged_annotation_is_told_with_its_row(archive: Path, tmp_path: Path, row: str) -> None:
    with (archive / "annotations.dat").open("a") as stream:
        stream.write(row + "\n")
    with pytest.raises(BloomDiffError, match=r"annotations\.dat:31") as caught:
        import_cells("matek-2019", archive, tmp_path / "data", jobs=1)
    assert "\n" not in str(caught.value)


def test_annotations_may_begin_with_a_mark_and_are_utf8(archive: Path, tmp_path: Path) -> None:
    file = archive / "annotations.dat"
    plain = file.read_bytes()
    file.write_bytes(b"\xef\xbb\xbf" + plain)
    import_cells("matek-2019", archive, tmp_path / "data", jobs=1)
    file.write_bytes(plain + "Übung".encode("latin-1"))
    with pytest.raises(BloomDiffError, match=r"annotations\.dat: is not UTF-8"):
        import_cells("matek-2019", archive, tmp_path / "other", jobs=1)


def test_a_folder_of_no_class_is_told(archive: Path, tmp_path: Path, draw: Draw) -> None:
    draw(archive / "AML-Cytomorphology" / "BLA" / "BLA_0001.tiff")
    with pytest.raises(BloomDiffError, match=r"BLA: is no class of matek-2019; expected NGS"):
        import_cells("matek-2019", archive, tmp_path / "data", jobs=1)


def test_another_layout_is_one_line_naming_what_was_expected(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path / "in" / "basophil" / "x.png")
    with pytest.raises(BloomDiffError, match=r"holds no folder named by a class of matek-2019"):
        import_cells("matek-2019", tmp_path / "in", tmp_path / "data", jobs=1)


def test_a_file_instead_of_a_folder_is_one_line(tmp_path: Path, draw: Draw) -> None:
    with pytest.raises(BloomDiffError, match="is not a folder"):
        import_cells("matek-2019", draw(tmp_path / "x.png"), tmp_path / "data", jobs=1)
