from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from bloomdiff.data.manifest import write_manifest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def blobs() -> tuple[np.ndarray, np.ndarray]:
    """Three overlapping Gaussian classes, 60, 40 and 20 rows of 6 numbers."""
    rng = np.random.default_rng(7)
    centres = rng.normal(0, 2, (3, 6))
    y = np.repeat(["blast", "lymphocyte", "monocyte"], [60, 40, 20])
    at = np.repeat([0, 1, 2], [60, 40, 20])
    X = (centres[at] + rng.normal(0, 1, (120, 6))).astype(np.float32)
    order = rng.permutation(120)
    return X[order], y[order]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a project with the cells of `lab.make`."""
    from lab import make

    cells, embeddings = make(tmp_path / "data")
    write_manifest(cells, tmp_path / "data" / "manifest.csv")
    embeddings.save(tmp_path / "embeddings" / "cells.parquet")
    monkeypatch.chdir(tmp_path)
    return tmp_path
