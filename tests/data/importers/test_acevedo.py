import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bloomdiff.data.importers import import_cells
from bloomdiff.errors import BloomDiffError

Draw = Callable[..., Path]
SHARED = Path(__file__).parents[4] / "shared" / "data"
# Folder to prefixes, as in PBC_dataset_normal_DIB.zip.
LAYOUT = {
    "basophil": ["BA"],
    "eosinophil": ["EO"],
    "erythroblast": ["ERB"],
    "ig": ["IG", "MMY", "MY", "PMY"],
    "lymphocyte": ["LY"],
    "monocyte": ["MO"],
    "neutrophil": ["BNE", "NEUTROPHIL", "SNE"],
    "platelet": ["PLATELET"],
}


@pytest.fixture
def archive(tmp_path: Path, draw: Draw) -> Path:
    """The published folder with its known traps."""
    root = tmp_path / "in" / "PBC_dataset_normal_DIB"
    for folder, prefixes in LAYOUT.items():
        for prefix in prefixes:
            draw(root / folder / f"{prefix}_{len(prefix)}1234.jpg", (36, 36))
    (root / "neutrophil" / ".DS_169665.jpg").write_bytes(b"\0\0\0\1Bud1")
    (root / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (root / "ig" / "Thumbs.db").write_bytes(b"\xd0\xcf")
    (root.parent / "__MACOSX" / "neutrophil").mkdir(parents=True)
    return root


def test_prefixes_tell_thirteen_classes(archive: Path, tmp_path: Path) -> None:
    cells = import_cells("acevedo", archive.parent, tmp_path / "data", jobs=1)
    assert len(cells) == 13
    told = dict(zip(cells["cell_id"].str.split("[/_]").str[2], cells["label"], strict=True))
    assert told == {
        "BA": "basophil",
        "EO": "eosinophil",
        "ERB": "erythroblast",
        "IG": "granulocyte_immature",
        "MMY": "metamyelocyte",
        "MY": "myelocyte",
        "PMY": "promyelocyte",
        "LY": "lymphocyte",
        "MO": "monocyte",
        "BNE": "neutrophil_band",
        "NEUTROPHIL": "neutrophil",
        "SNE": "neutrophil_segmented",
        "PLATELET": "platelet",
    }
    assert set(cells["source"]) == {"acevedo"}


def test_folders_tell_eight_classes(archive: Path, tmp_path: Path) -> None:
    cells = import_cells("acevedo", archive, tmp_path / "data", {"classes": "folders"}, jobs=1)
    assert cells["label"].value_counts().to_dict() == {
        "granulocyte_immature": 4,
        "neutrophil": 3,
        "basophil": 1,
        "eosinophil": 1,
        "erythroblast": 1,
        "lymphocyte": 1,
        "monocyte": 1,
        "platelet": 1,
    }


def test_the_image_with_two_labels_is_left_out_and_told(
    archive: Path, tmp_path: Path, draw: Draw, caplog: pytest.LogCaptureFixture
) -> None:
    twin = draw(archive / "eosinophil" / "EO_225902.jpg", (36, 36))
    shutil.copy(twin, archive / "neutrophil" / "BNE_191112.jpg")
    with caplog.at_level(logging.WARNING):
        cells = import_cells("acevedo", archive, tmp_path / "data", jobs=1)
    assert len(cells) == 13
    assert caplog.text.count("published with two labels") == 2


def test_equal_images_of_one_class_are_kept_for_grouping(archive: Path, tmp_path: Path) -> None:
    original = next((archive / "basophil").glob("BA_*.jpg"))
    shutil.copy(original, original.with_name("BA_7.jpg"))
    cells = import_cells("acevedo", archive, tmp_path / "data", jobs=1)
    assert cells["blake3"].duplicated().sum() == 1


def test_a_name_that_contradicts_its_folder_is_told(
    archive: Path, tmp_path: Path, draw: Draw
) -> None:
    draw(archive / "monocyte" / "SNE_99.jpg")
    draw(archive / "monocyte" / "photo_99.jpg")
    with pytest.raises(BloomDiffError) as caught:
        import_cells("acevedo", archive, tmp_path / "data", jobs=1)
    first, second = str(caught.value).split("\n")
    assert "is neutrophil_segmented by its name but lies in monocyte" in first
    assert "has the prefix 'photo'" in second
    assert not (tmp_path / "data").exists()


def test_another_layout_is_one_line(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path / "in" / "NGS" / "NGS_0001.tiff")
    with pytest.raises(BloomDiffError, match=r"holds no folder named by a class of acevedo"):
        import_cells("acevedo", tmp_path / "in", tmp_path / "data", jobs=1)


def test_an_unknown_choice_of_classes_is_one_line(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(BloomDiffError, match="classes: is 'coarse'"):
        import_cells("acevedo", archive, tmp_path / "data", {"classes": "coarse"}, jobs=1)


@pytest.mark.parametrize(
    ("part", "n_cells", "n_classes"),
    [("pbc-examples", 160, 11), ("pbc-five", 1500, 6), ("pbc-thirteen", 1850, 13)],
)
def test_real_parts(tmp_path: Path, part: str, n_cells: int, n_classes: int) -> None:
    if not (SHARED / part).is_dir():
        pytest.skip(f"{SHARED / part} is missing")
    cells = import_cells("acevedo", SHARED / part, tmp_path / "data", jobs=1)
    assert (len(cells), cells["label"].nunique()) == (n_cells, n_classes)
