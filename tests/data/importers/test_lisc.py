import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bloomdiff.data.images import read_rgb
from bloomdiff.data.importers import import_cells
from bloomdiff.errors import BloomDiffError

Draw = Callable[..., Path]
WIDTH, HEIGHT, BORDER = 72, 58, 4
CELL = (slice(20, 40), slice(30, 50))  # rows, columns in the field


def mask(path: Path, *cells: tuple[slice, slice], size: tuple[int, int] | None = None) -> None:
    marked = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    for rows, columns in cells:
        marked[rows, columns] = 128  # cytoplasm
        marked[rows.start + 5 : rows.stop - 5, columns.start + 5 : columns.stop - 5] = 255
    inner = marked[BORDER:-BORDER, BORDER:-BORDER]
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(inner)
    (image.resize(size) if size else image).save(path)


@pytest.fixture
def archive(tmp_path: Path, draw: Draw) -> Path:
    """The folders of `LISC Database.zip`, one field a type."""
    root = tmp_path / "LISC Database"
    truth = root / "Ground Truth Segmentation"
    for kind in ("Baso", "eosi", "lymp", "mono", "neut", "mixt"):
        draw(root / "Main Dataset" / kind / "1.bmp", (WIDTH, HEIGHT))
        mask(truth / kind / "areaforexpert1" / "1_expert.bmp", CELL)
    draw(root / "More Dataset without Ground Truth" / "alll" / "7.bmp", (WIDTH, HEIGHT))
    return root


def test_one_cell_a_field(archive: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        cells = import_cells("lisc", archive, tmp_path / "data", {"margin": 0.0}, jobs=1)
    assert cells["label"].tolist() == [
        "basophil",
        "eosinophil",
        "lymphocyte",
        "monocyte",
        "neutrophil",
    ]
    boxes = cells[["box_x", "box_y", "box_width", "box_height"]].to_numpy()
    assert (boxes == [30, 20, 20, 20]).all()
    assert cells["field"].iloc[0] == "Baso/1.bmp"
    assert "mixt: not of one type, left out" in caplog.text
    assert "1 fields have no mask" in caplog.text


def test_the_crop_is_shifted_by_the_masks_border(archive: Path, tmp_path: Path) -> None:
    cells = import_cells("lisc", archive, tmp_path / "data", {"margin": 0.0}, jobs=1)
    crop = read_rgb(tmp_path / "data" / cells["path"].iloc[0])
    field = read_rgb(archive / "Main Dataset" / "Baso" / "1.bmp")
    assert np.array_equal(crop, field[CELL])


def test_two_cells_of_a_field_share_its_group_and_specks_are_no_cells(
    archive: Path, tmp_path: Path
) -> None:
    truth = archive / "Ground Truth Segmentation" / "lymp" / "areaforexpert1"
    second, speck = (slice(10, 18), slice(8, 18)), (slice(48, 50), slice(60, 62))
    mask(truth / "1_expert.bmp", CELL, second, speck)
    cells = import_cells("lisc", archive, tmp_path / "data", jobs=1)
    two = cells[cells["label"] == "lymphocyte"]
    assert two["box_width"].tolist() == [20, 10]
    assert two["group"].tolist() == ["lisc/lymp/1.bmp"] * 2


def test_a_mask_of_the_fields_own_size_is_not_shifted(archive: Path, tmp_path: Path) -> None:
    path = archive / "Ground Truth Segmentation" / "neut" / "areaforexpert1" / "1_expert.bmp"
    marked = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    marked[CELL] = 255
    Image.fromarray(marked).save(path)
    cells = import_cells("lisc", archive, tmp_path / "data", jobs=1)
    assert cells["box_x"].tolist() == [30] * 5


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("missing", r"mono/1\.bmp: has 0 masks"),
        ("twice", r"mono/1\.bmp: has 2 masks"),
        ("size", r"1_expert\.bmp: is 30x30 pixels, its field 72x58"),
        ("empty", r"1_expert\.bmp: marks no cell"),
    ],
)
def test_masks_that_do_not_fit_are_told(
    archive: Path, tmp_path: Path, damage: str, told: str
) -> None:
    path = archive / "Ground Truth Segmentation" / "mono" / "areaforexpert1" / "1_expert.bmp"
    if damage == "missing":
        path.unlink()
    elif damage == "twice":
        mask(path.with_name("1_expert2.bmp"), CELL)
    elif damage == "size":
        mask(path, CELL, size=(30, 30))
    else:
        mask(path)
    with pytest.raises(BloomDiffError, match=told) as caught:
        import_cells("lisc", archive, tmp_path / "data", jobs=1)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "data").exists()


def test_without_masks_the_layout_is_told(archive: Path, tmp_path: Path) -> None:
    (archive / "Ground Truth Segmentation").rename(tmp_path / "elsewhere")
    with pytest.raises(BloomDiffError, match="lacks the folder 'Ground Truth Segmentation'"):
        import_cells("lisc", archive, tmp_path / "data", jobs=1)


def test_another_layout_is_one_line(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path / "in" / "neut" / "1.bmp")
    with pytest.raises(BloomDiffError, match="holds no folder 'Main Dataset'"):
        import_cells("lisc", tmp_path / "in", tmp_path / "data", jobs=1)
