from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bloomdiff.data.images import read_rgb
from bloomdiff.data.importers.medmnist import BLOODMNIST
from bloomdiff.errors import InputError

RNG = np.random.default_rng(3)
COUNTS = {"train": 9, "val": 8, "test": 3}


def arrays(*shape: int) -> dict[str, np.ndarray]:
    content = {}
    for split, count in COUNTS.items():
        content[f"{split}_images"] = RNG.integers(0, 256, (count, *shape), dtype=np.uint8)
        content[f"{split}_labels"] = (np.arange(count, dtype=np.uint8) % 8)[:, None]
    return content


@pytest.mark.parametrize("size", [28, 64, 128, 224])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_bloodmnist_in_every_size_keeps_its_split(tmp_path: Path, load, size: int, save) -> None:
    content = arrays(size, size, 3)
    path = tmp_path / ("bloodmnist.npz" if size == 28 else f"bloodmnist_{size}.npz")
    save(path, **content)
    cells = load("medmnist", path, source="blood")
    assert cells["split"].value_counts().to_dict() == COUNTS
    for cell in cells.itertuples():
        number = int(Path(cell.path).stem)
        rgb = read_rgb(tmp_path / "out" / cell.path)
        np.testing.assert_array_equal(rgb, content[f"{cell.split}_images"][number])
        assert cell.label == BLOODMNIST[int(content[f"{cell.split}_labels"][number, 0])]
    assert set(cells["label"]) == set(BLOODMNIST)


def test_the_order_of_members_does_not_matter(tmp_path: Path, load) -> None:
    content = arrays(28, 28, 3)
    np.savez(tmp_path / "bloodmnist.npz", **dict(sorted(content.items())))
    assert len(load("medmnist", tmp_path / "bloodmnist.npz")) == 20


def test_grey_images_and_given_names(tmp_path: Path, load) -> None:
    content = arrays(28, 28)
    path = tmp_path / "tissuemnist.npz"
    np.savez(path, **content)
    with pytest.raises(InputError, match="its class names are not known"):
        load("medmnist", path)
    cells = load("medmnist", path, {"classes": list("abcdefgh")})
    first = read_rgb(tmp_path / "out" / cells["path"][0])
    np.testing.assert_array_equal(first[:, :, 1], content["test_images"][0])
    with pytest.raises(InputError, match="train_labels row 2: class 2 has no name"):
        load("medmnist", path, {"classes": ["a", "b"]}, replace=True)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("train_images", np.zeros((9, 28, 28, 28), np.uint8), "train_images: holds uint8"),
        ("val_images", np.zeros((8, 28, 28, 3), np.float32), "val_images: holds float32"),
        ("val_labels", np.zeros((8, 14), np.uint8), "val_labels: holds uint8"),
        ("test_labels", np.zeros((2, 1), np.uint8), "test_labels: 2 for 3 images"),
        ("train_labels", np.array([[{}]] * 9, dtype=object), "train_labels: is no plain array"),
        ("train_images", np.asfortranarray(np.zeros((9, 28, 28, 3), np.uint8)), "no plain array"),
        ("train_labels", np.array(3), "no plain array"),
        ("train_images", np.zeros((0, 9000, 9000), np.uint8), "train_images: holds uint8"),
        ("val_images", np.zeros((8, 0, 28, 3), np.uint8), "val_images: holds uint8"),
        ("val_images", np.zeros((8, 28, 0), np.uint8), "val_images: holds uint8"),
        ("test_images", None, "holds no test_images"),
    ],
)
def test_other_archives_are_refused(tmp_path: Path, load, key: str, value, told: str) -> None:
    content = arrays(28, 28, 3) | {key: value}
    path = tmp_path / "bloodmnist.npz"
    np.savez(path, **{name: array for name, array in content.items() if array is not None})
    with pytest.raises(InputError, match=told):
        load("medmnist", path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("part", [0.3, 0.9, 0.999])
def test_a_cut_archive_is_refused(tmp_path: Path, load, part: float) -> None:
    path = tmp_path / "bloodmnist.npz"
    np.savez_compressed(path, **arrays(28, 28, 3))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(InputError, match=r"bloodmnist\.npz: is no whole \.npz archive"):
        load("medmnist", path)
    assert not (tmp_path / "out").exists()


def test_a_damaged_archive_is_refused(tmp_path: Path, load) -> None:
    path = tmp_path / "bloodmnist.npz"
    np.savez(path, **arrays(28, 28, 3))
    data = bytearray(path.read_bytes())
    data[3000] ^= 255
    path.write_bytes(data)
    with pytest.raises(InputError, match="is no whole"):
        load("medmnist", path)
