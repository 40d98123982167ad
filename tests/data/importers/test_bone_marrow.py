import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from bloomdiff.data.importers import import_cells
from bloomdiff.data.vocabulary import codes, to_vocabulary
from bloomdiff.errors import BloomDiffError

Draw = Callable[..., Path]
REAL = Path(__file__).parents[4] / "shared" / "data" / "bone-marrow"


@pytest.fixture
def archive(tmp_path: Path, draw: Draw) -> Path:
    """Large classes in folders of a thousand, a small one without."""
    root = tmp_path / "BM_cytomorphology_data"
    for code in codes("bone-marrow"):
        if code == "ABE":
            draw(root / code / "ABE_00001.jpg", (25, 25))
            continue
        draw(root / code / "0001-1000" / f"{code}_00001.jpg", (25, 25))
        draw(root / code / "0001-1000" / f"{code}_01000.jpg", (25, 25))
        draw(root / code / "1001-2000" / f"{code}_01001.jpg", (25, 25))
    return root


def test_every_class_at_any_depth(
    archive: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        cells = import_cells("bone-marrow", archive, tmp_path / "data", jobs=1)
    assert len(cells) == 1 + 20 * 3
    told = dict(zip(cells["cell_id"].str.split("/").str[1], cells["label"], strict=True))
    assert told == {code: to_vocabulary("bone-marrow", code) for code in codes("bone-marrow")}
    assert "bone-marrow/ART/ART_01001.jpg" in set(cells["cell_id"])
    assert set(cells["split"]) == {""}
    assert "patients are not told" in caplog.text


def test_a_published_test_split_is_applied(
    archive: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    split = tmp_path / "bm_test.csv"
    split.write_text(
        "Image Path,Label\n"
        "/somewhere/BM_cytomorphology_data/test/OTH/OTH_01000.jpg,OTH\n"
        "C:\\data\\NGS_00001.jpg,NGS\n"
        "/somewhere/NGS_99999.jpg,NGS\n"
    )
    with caplog.at_level(logging.WARNING):
        cells = import_cells(
            "bone-marrow", archive, tmp_path / "data", {"test_split": split}, jobs=1
        )
    tested = cells.loc[cells["split"] == "test", "cell_id"].tolist()
    assert tested == ["bone-marrow/NGS/NGS_00001.jpg", "bone-marrow/OTH/OTH_01000.jpg"]
    assert (cells["split"] == "train").sum() == len(cells) - 2
    assert "2 of its images are not here" in caplog.text


@pytest.mark.parametrize("text", ["Image Path,Label\n/x/NGS_99999.jpg,NGS\n", "", "\0\n"])
def test_a_split_of_other_images_is_refused(archive: Path, tmp_path: Path, text: str) -> None:
    split = tmp_path / "split.csv"
    split.write_text(text)
    with pytest.raises(BloomDiffError, match=r"split\.csv: ") as caught:
        import_cells("bone-marrow", archive, tmp_path / "data", {"test_split": split}, jobs=1)
    assert "\n" not in str(caught.value)


def test_a_missing_split_file_is_one_line(archive: Path, tmp_path: Path) -> None:
    params = {"test_split": tmp_path / "nowhere.csv"}
    with pytest.raises(BloomDiffError, match=r"nowhere\.csv: cannot be read"):
        import_cells("bone-marrow", archive, tmp_path / "data", params, jobs=1)


def test_an_empty_class_folder_is_told(archive: Path, tmp_path: Path) -> None:
    (archive / "FGC" / "0001-1000" / "FGC_00001.jpg").unlink()
    (archive / "FGC" / "0001-1000" / "FGC_01000.jpg").unlink()
    (archive / "FGC" / "1001-2000" / "FGC_01001.jpg").unlink()
    with pytest.raises(BloomDiffError, match="FGC: holds no image"):
        import_cells("bone-marrow", archive, tmp_path / "data", jobs=1)


def test_real_part(tmp_path: Path) -> None:
    if not REAL.is_dir():
        pytest.skip(f"{REAL} is missing")
    cells = import_cells("bone-marrow", REAL, tmp_path / "data", jobs=1)
    assert cells["label"].value_counts().to_dict() == dict.fromkeys(
        (
            "blast",
            "eosinophil",
            "lymphocyte",
            "monocyte",
            "neutrophil_segmented",
            "promyelocyte",
        ),
        250,
    )
