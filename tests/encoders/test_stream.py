import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.encoders import embed_cells, stream
from bloomdiff.errors import IntegrityError


@pytest.mark.parametrize("row_group", [1, 3, 10, 1000])
def test_the_file_holds_what_embed_cells_gives(
    images, stub, tmp_path: Path, monkeypatch, row_group: int
) -> None:
    monkeypatch.setattr(stream, "ROW_GROUP", row_group)
    cells, root = images
    cells.loc[3, "label"] = ""
    cells.loc[4, "label"] = 'with, comma and "quotes"'
    made = embed_cells(cells, root, stub, cache_dir=tmp_path / "c", jobs=0)
    path = tmp_path / "streamed.parquet"
    stream.embed_to_file(cells, root, stub, path, cache_dir=tmp_path / "c", jobs=0)
    loaded = EmbeddingSet.load(path)
    np.testing.assert_array_equal(loaded.X, made.X)
    pd.testing.assert_frame_equal(loaded.rows, made.rows, check_dtype=False)
    assert loaded.header == made.header
    assert loaded._digest() == made._digest()


@pytest.mark.parametrize("splits", [[""] * 10, [None] * 9 + ["test"], [None] * 10])
def test_texts_of_dtype_object_are_written_as_any_others(
    images, stub, tmp_path: Path, monkeypatch, splits: list
) -> None:
    monkeypatch.setattr(stream, "ROW_GROUP", 3)
    cells, root = images
    cells = cells.assign(split=splits).astype(object)
    made = embed_cells(cells, root, stub, cache_dir=tmp_path / "c", jobs=0)
    made.save(tmp_path / "whole.parquet")
    path = tmp_path / "streamed.parquet"
    stream.embed_to_file(cells, root, stub, path, cache_dir=tmp_path / "c", jobs=0)
    loaded, whole = EmbeddingSet.load(path), EmbeddingSet.load(tmp_path / "whole.parquet")
    pd.testing.assert_frame_equal(loaded.rows, whole.rows)
    np.testing.assert_array_equal(loaded.X, whole.X)


def test_a_changed_vector_is_found_by_the_reader(images, stub, tmp_path: Path) -> None:
    cells, root = images
    made = embed_cells(cells, root, stub, cache_dir=tmp_path / "c", jobs=0)
    calls = []

    def vectors():
        calls.append(1)
        yield made.X if len(calls) == 1 else made.X + 1

    stream.write_stream(tmp_path / "x.parquet", made.rows, vectors, made.dim, made.header)
    with pytest.raises(IntegrityError):
        EmbeddingSet.load(tmp_path / "x.parquet")


def test_a_wrong_number_of_vectors_leaves_no_file(images, stub, tmp_path: Path) -> None:
    cells, root = images
    made = embed_cells(cells, root, stub, cache_dir=tmp_path / "c", jobs=0)
    with pytest.raises(ValueError, match="9 vectors but 10 rows"):
        stream.write_stream(
            tmp_path / "x.parquet", made.rows, lambda: iter([made.X[:9]]), made.dim, {}
        )
    assert not (tmp_path / "x.parquet").exists()


MEMORY = """
import sys
sys.path[:0] = [{tests!r}, {bench!r}]
from stream_memory import peak_resident_bytes, write_archive
write_archive({folder!r}, {n}, dim={dim})
print(peak_resident_bytes())
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_vectors(tmp_path: Path) -> None:
    """100,000 x 384: 154 MB of vectors, of which a fraction may ever be in memory."""
    root = Path(__file__).resolve().parents[2]
    peak = {}
    for n in (40_000, 100_000):
        code = MEMORY.format(
            tests=str(Path(__file__).parent),
            bench=str(root / "bench"),
            folder=str(tmp_path / str(n)),
            n=n,
            dim=384,
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        peak[n] = int(done.stdout.split()[-1])
    grown = peak[100_000] - peak[40_000]
    # 60,000 more vectors are 92 MB; index and row table are about 300 bytes a cell, 18 MB.
    assert grown < 60_000 * 384 * 4 / 2, peak
    assert peak[100_000] < 2**30
    loaded = EmbeddingSet.load(tmp_path / "100000" / "cells.parquet")
    assert loaded.X.shape == (100_000, 384)
