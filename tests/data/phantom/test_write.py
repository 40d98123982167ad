import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bloomdiff.data.images import pixel_digest, read_rgb
from bloomdiff.data.manifest import read_manifest, write_manifest
from bloomdiff.data.phantom import PhantomParams, write_phantom
from bloomdiff.data.phantom.cell_types import TYPES
from bloomdiff.data.phantom.write import class_counts
from bloomdiff.errors import InputError, ParameterError


def content(folder: Path) -> dict[str, bytes]:
    files = (p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def test_same_seed_same_bytes_for_any_number_of_jobs(phantom, small, tmp_path):
    write_phantom(tmp_path, small, seed=0, jobs=2)
    assert content(tmp_path) == content(phantom)


def test_another_seed_draws_other_cells(phantom, small, tmp_path):
    write_phantom(tmp_path, small, seed=1, jobs=1)
    ours, theirs = (read_manifest(p / "manifest.csv") for p in (phantom, tmp_path))
    assert not set(ours.blake3) & set(theirs.blake3)


def test_a_smaller_phantom_is_part_of_a_larger_one(phantom, small, tmp_path):
    write_phantom(tmp_path, small.model_copy(update={"n_cells": 50}), seed=0, jobs=1)
    part = read_manifest(tmp_path / "manifest.csv").set_index("cell_id")
    whole = read_manifest(phantom / "manifest.csv").set_index("cell_id")
    assert len(part) == 50
    pd.testing.assert_frame_equal(part, whole.loc[part.index])


def test_the_manifest_tells_the_truth(phantom, small):
    cells = read_manifest(phantom / "manifest.csv")
    assert len(cells) == small.n_cells
    assert cells.cell_id.is_unique
    assert cells.blake3.is_unique
    assert set(cells.source) == {"phantom"}
    assert set(cells.split) == {""}
    for row in cells.itertuples():
        rgb = read_rgb(phantom / row.path)
        assert rgb.shape == (row.height, row.width, 3) == (96, 96, 3)
        assert pixel_digest(rgb) == row.blake3
        assert row.path == f"images/phantom/{row.label}/{row.cell_id}.png"
    assert {p for p in content(phantom) if p.endswith(".png")} == set(cells.path)


def test_the_manifest_passes_validation(phantom):
    from bloomdiff.data.validate import validate_manifest

    cells = read_manifest(phantom / "manifest.csv")
    assert len(validate_manifest(cells, phantom, jobs=1)) == len(cells)


def test_every_class_lies_on_many_slides(phantom, small):
    cells = read_manifest(phantom / "manifest.csv")
    assert set(cells.label) == set(TYPES)
    assert cells.group.nunique() == small.n_slides
    slides = cells.groupby("label")["group"].nunique()
    # A golden-ratio sequence of three falls on three slides, unless two are of one's share.
    assert (slides >= 2).all()


def test_the_default_is_a_long_tail_that_stratified_group_folds_can_split():
    counts = class_counts(PhantomParams())
    assert sum(counts.values()) == PhantomParams().n_cells
    published = {name: kind.count for name, kind in TYPES.items()}
    frequent = [name for name, n in counts.items() if n > PhantomParams().min_per_class]
    assert len(frequent) >= 5
    scale = [counts[name] / published[name] for name in frequent]
    np.testing.assert_allclose(scale, scale[0], rtol=0.03)
    assert min(counts.values()) == PhantomParams().min_per_class
    assert max(counts.values()) / min(counts.values()) > 40


def test_class_counts_without_a_floor_are_the_published_frequencies():
    counts = class_counts(PhantomParams(n_cells=1000, min_per_class=0))
    total = sum(kind.count for kind in TYPES.values())
    for name, n in counts.items():
        assert abs(n - 1000 * TYPES[name].count / total) <= 1


@pytest.mark.parametrize("n_cells", [144, 145, 200, 700, 20_000])
def test_class_counts_add_up_above_the_floor(n_cells):
    counts = class_counts(PhantomParams(n_cells=n_cells))
    assert sum(counts.values()) == n_cells
    assert min(counts.values()) >= 12


def test_too_few_cells_for_the_floor_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ParameterError, match="143 cells cannot hold 12"):
        write_phantom(tmp_path / "out", PhantomParams(n_cells=143), seed=0)
    assert not (tmp_path / "out").exists()


def test_foreign_images_are_refused(tmp_path, small):
    foreign = tmp_path / "images" / "phantom" / "lymphocyte" / "scan.png"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"precious")
    with pytest.raises(InputError, match=r"scan\.png.*not a cell of the phantom"):
        write_phantom(tmp_path, small, seed=0, jobs=1)
    assert content(tmp_path) == {"images/phantom/lymphocyte/scan.png": b"precious"}


def test_a_foreign_manifest_is_refused(phantom, small, tmp_path):
    lines = (phantom / "manifest.csv").read_text().splitlines()
    lines[2] = lines[2].replace(",phantom,", ",hospital,")
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=r"manifest\.csv:3: lists 1 cells"):
        write_phantom(tmp_path, small, seed=0, jobs=1)


def test_other_images_beside_the_phantom_stay(tmp_path, small):
    other = tmp_path / "images" / "hospital" / "a.png"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"precious")
    write_phantom(tmp_path, small, seed=0, jobs=1)
    assert other.read_bytes() == b"precious"


def test_a_new_phantom_replaces_an_old_one(small, tmp_path, phantom):
    smaller = small.model_copy(update={"n_cells": 40})
    write_phantom(tmp_path, small, seed=3, jobs=1)
    write_phantom(tmp_path, smaller, seed=3, jobs=1)
    assert len(content(tmp_path)) == 40 + 2


def test_a_killed_run_leaves_no_manifest_and_the_next_one_mends_it(phantom, small, tmp_path):
    code = (
        "from bloomdiff.data.phantom import PhantomParams, write_phantom;"
        f"write_phantom({str(tmp_path)!r}, PhantomParams(**{small.model_dump()!r}), seed=0, jobs=1)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.rglob("*.png"))) < 5:
            assert time.monotonic() < deadline
            assert process.poll() is None, "finished before it could be killed"
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
    assert not (tmp_path / "manifest.csv").exists()
    assert not (tmp_path / "images" / "phantom").exists()
    write_phantom(tmp_path, small, seed=0, jobs=1)
    assert content(tmp_path) == content(phantom)


def test_measurements_and_labels_of_others_are_refused(phantom, small, tmp_path):
    own = tmp_path / "own" / "morphology.parquet"
    own.parent.mkdir()
    own.write_bytes(b"my own measurements")
    with pytest.raises(InputError, match=r"morphology\.parquet: is not a phantom's; choose"):
        write_phantom(own.parent, small, seed=0, jobs=1)
    assert content(own.parent) == {"morphology.parquet": b"my own measurements"}
    cells = read_manifest(phantom / "manifest.csv").assign(verified="")
    cells.loc[3, "verified"] = "yes"
    write_manifest(cells, tmp_path / "manifest.csv")
    with pytest.raises(InputError, match=r"manifest\.csv: holds an expert's labels of 1 cells"):
        write_phantom(tmp_path, small, seed=0, jobs=1)
