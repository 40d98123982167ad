import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import bloomdiff.encoders.embed as embed
from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.data.images import pixel_digest
from bloomdiff.encoders import embed_cells
from bloomdiff.errors import InputError


def test_rows_stand_in_the_manifests_order_with_their_header(images, stub, tmp_path: Path) -> None:
    cells, root = images
    cells = cells.iloc[::-1].reset_index(drop=True)
    made = embed_cells(cells, root, stub, cache_dir=tmp_path / "cache", jobs=0)
    assert list(made.rows.columns) == ["cell_id", "label", "group", "split", "source"]
    assert made.cell_id.tolist() == cells["cell_id"].tolist()
    assert made.header == stub.header
    assert made.fingerprint == Fingerprint.of(cells["group"])
    from bloomdiff.data.images import read_rgb

    expected = stub.encode([read_rgb(root / path) for path in cells["path"]])
    np.testing.assert_array_equal(made.X, expected)


def test_decoding_processes_change_nothing(images, stub, tmp_path: Path) -> None:
    cells, root = images
    alone = embed_cells(cells, root, stub, cache_dir=tmp_path / "a", jobs=0)
    helped = embed_cells(cells, root, stub, cache_dir=tmp_path / "b", jobs=2)
    np.testing.assert_array_equal(alone.X, helped.X)


def test_only_new_images_are_computed(images, stub, more_images, tmp_path: Path) -> None:
    cells, root = images
    embed_cells(cells, root, stub, cache_dir=tmp_path / "cache", jobs=0)
    assert stub.seen == 10
    both = pd.concat([cells, more_images(root, 3, seed=1)], ignore_index=True)
    made = embed_cells(both, root, stub, cache_dir=tmp_path / "cache", jobs=0)
    assert stub.seen == 13
    fresh = embed_cells(both, root, stub, cache_dir=tmp_path / "fresh", jobs=0)
    np.testing.assert_array_equal(made.X, fresh.X)


def test_equal_images_are_computed_once(images, stub, tmp_path: Path) -> None:
    cells, root = images
    twin = cells.iloc[[0]].assign(cell_id="twin")
    both = pd.concat([cells, twin], ignore_index=True)
    made = embed_cells(both, root, stub, cache_dir=tmp_path / "cache", jobs=0)
    assert stub.seen == 10
    np.testing.assert_array_equal(made.X[0], made.X[-1])


def test_a_manifest_without_digests_is_completed(images, stub, tmp_path: Path) -> None:
    cells, root = images
    with_digests = embed_cells(cells, root, stub, cache_dir=tmp_path / "a", jobs=0)
    without = embed_cells(cells.assign(blake3=""), root, stub, cache_dir=tmp_path / "b", jobs=0)
    np.testing.assert_array_equal(with_digests.X, without.X)


def test_no_cells_make_an_empty_set(images, stub, tmp_path: Path) -> None:
    cells, root = images
    assert embed_cells(cells.iloc[:0], root, stub, cache_dir=tmp_path, jobs=0).X.shape == (0, 8)


@pytest.mark.parametrize("jobs", [0, 2])
def test_a_changed_image_is_named(images, stub, more_images, tmp_path: Path, jobs: int) -> None:
    cells, root = images
    other = more_images(tmp_path / "other", 1, seed=9)
    (tmp_path / "other" / other["path"][0]).replace(root / cells["path"][7])
    with pytest.raises(InputError, match=r"s0_007\.png: has changed since the manifest"):
        embed_cells(cells, root, stub, cache_dir=tmp_path / "cache", jobs=jobs)


def test_a_missing_image_is_named(images, stub, tmp_path: Path) -> None:
    cells, root = images
    (root / cells["path"][3]).unlink()
    with pytest.raises(InputError, match=r"s0_003\.png"):
        embed_cells(cells, root, stub, cache_dir=tmp_path / "cache", jobs=2)


class Constant:
    """Turns a stub into an encoder that tells nothing apart."""

    def __call__(self, images):
        return np.ones((len(images), 8), np.float32)


def test_constant_embeddings_are_refused_and_not_cached(images, stub, tmp_path: Path) -> None:
    cells, root = images
    stub._forward = Constant()
    with pytest.raises(InputError, match="tells none apart"):
        embed_cells(cells, root, stub, cache_dir=tmp_path / "cache", jobs=0)
    assert not list(tmp_path.rglob("*.safetensors"))
    stub.learned = False
    embed_cells(cells, root, stub, cache_dir=tmp_path / "cache", jobs=0)


def test_embeddings_that_are_not_finite_are_refused(images, stub, tmp_path: Path) -> None:
    cells, root = images
    stub._forward = lambda images: np.full((len(images), 8), np.nan, np.float32)
    with pytest.raises(InputError, match="not finite"):
        embed_cells(cells, root, stub, cache_dir=tmp_path / "cache", jobs=0)
    assert not list(tmp_path.rglob("*.safetensors"))


KILLED = """
import sys
from pathlib import Path
import pandas as pd
sys.path.insert(0, {tests!r})
import bloomdiff.encoders.embed as embed
from small_vit import slow_vit
embed.CHUNK_SECONDS = 0.0
encoder = slow_vit({pause})
cells = pd.read_parquet({cells!r})
made = embed.embed_cells(cells, Path({root!r}), encoder, cache_dir=Path({cache!r}), jobs=0)
made.save({out!r})
"""


def test_a_killed_run_resumes_to_the_same_bytes(
    tmp_path: Path, more_images: Callable[..., pd.DataFrame]
) -> None:
    cells = more_images(tmp_path / "images", 37)
    cells.to_parquet(tmp_path / "cells.parquet")

    def command(cache: str, out: str, pause: float) -> list[str]:
        code = KILLED.format(
            tests=str(Path(__file__).parent),
            cells=str(tmp_path / "cells.parquet"),
            root=str(tmp_path / "images"),
            cache=str(tmp_path / cache),
            out=str(tmp_path / out),
            pause=pause,
        )
        return [sys.executable, "-c", code]

    subprocess.run(command("whole", "whole.parquet", 0), check=True, capture_output=True)
    victim = subprocess.Popen(
        command("cut", "cut.parquet", 0.3), stderr=subprocess.DEVNULL, start_new_session=True
    )
    chunks: list[Path] = []
    deadline = time.monotonic() + 120
    while len(chunks) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
        chunks = list((tmp_path / "cut").rglob("*.safetensors"))
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    assert 3 <= len(chunks) < 10, "the run was not killed half-way"
    assert not (tmp_path / "cut.parquet").exists()
    subprocess.run(command("cut", "cut.parquet", 0), check=True, capture_output=True)
    assert (tmp_path / "cut.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_chunks_are_bounded_in_rows(images, stub, tmp_path: Path, monkeypatch) -> None:
    cells, root = images
    monkeypatch.setattr(embed, "CHUNK_ROWS", 4)
    embed_cells(cells, root, stub, cache_dir=tmp_path / "cache", jobs=0)
    assert len(list((tmp_path / "cache").rglob("*.safetensors"))) == 3


def test_blank_images_of_two_sizes_are_no_damaged_weights(
    images, more_images, stub, tmp_path: Path
) -> None:
    cells, root = images
    for number, side in enumerate((20, 30)):
        pixels = np.full((side, side, 3), 255, np.uint8)
        Image.fromarray(pixels).save(root / f"blank{number}.png")
        told = {"cell_id": f"blank{number}", "path": f"blank{number}.png"}
        told["blake3"] = pixel_digest(pixels)
        cells = pd.concat([cells, cells.iloc[:1].assign(**told)], ignore_index=True)
    embed_cells(cells.iloc[:10], root, stub, cache_dir=tmp_path / "cache", jobs=0)
    X = embed_cells(cells, root, stub, cache_dir=tmp_path / "cache", jobs=0).X
    assert (X[10] == X[11]).all()
    stub._forward = Constant()
    with pytest.raises(InputError, match="gives 3 images the same vector"):
        embed_cells(cells.iloc[:10], root, stub, cache_dir=tmp_path / "other", jobs=0)
