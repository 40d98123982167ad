from collections.abc import Callable
from pathlib import Path

import pytest

from bloomdiff.data.importers import import_cells
from bloomdiff.data.vocabulary import codes, to_vocabulary
from bloomdiff.errors import BloomDiffError

Draw = Callable[..., Path]


@pytest.mark.parametrize("inner", [True, False])
def test_every_class_with_what_the_archives_carry(tmp_path: Path, draw: Draw, inner: bool) -> None:
    root = tmp_path / "mll23"
    for number, name in enumerate(codes("mll23")):
        folder = root / name / name if inner else root / name
        draw(folder / f"{name}_{number}.TIF", (28, 28), "RGB")
        (root / "__MACOSX" / name).mkdir(parents=True)
        (root / "__MACOSX" / name / f"._{name}_{number}.TIF").write_bytes(b"\0\5\x16\7")
        (folder / f"._{name}_{number}.TIF").write_bytes(b"\0\5\x16\7")
        (folder / ".DS_Store").write_bytes(b"")
    (root / "provenance.json").write_text("{}")
    cells = import_cells("mll23", root, tmp_path / "data", jobs=1)
    told = dict(zip(cells["cell_id"].str.split("/").str[1], cells["label"], strict=True))
    assert told == {name: to_vocabulary("mll23", name) for name in codes("mll23")}
    assert told["normoblast"] == "erythroblast"
    assert set(cells["source"]) == {"mll23"}
    assert cells["width"].eq(28).all()


def test_some_classes_alone(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path / "in" / "hairy_cell" / "x.TIF")
    cells = import_cells("mll23", tmp_path / "in", tmp_path / "data", jobs=1)
    assert cells["label"].tolist() == ["hairy_cell"]


def test_another_layout_is_one_line(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path / "in" / "NGS" / "x.tiff")
    with pytest.raises(BloomDiffError, match=r"named by a class of mll23 \(neutrophil_segmented"):
        import_cells("mll23", tmp_path / "in", tmp_path / "data", jobs=1)
