from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bloomdiff.data.importers import import_cells

Paint = Callable[..., np.ndarray]
REAL = Path(__file__).resolve().parents[4] / "shared" / "data"


@pytest.fixture
def paint() -> Paint:
    """Write an image of random pixels, a different one for each path; return its pixels."""

    def write(path: Path, width: int = 12, height: int = 10) -> np.ndarray:
        seed = int.from_bytes(hashlib.sha256(path.name.encode()).digest()[:4], "big")
        rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rgb).save(path)
        return rgb

    return write


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., pd.DataFrame]:
    """Import in this process into a fresh `out`, the cells sorted by id."""

    def call(kind: str, path: Path, params: dict[str, Any] | None = None, **more: Any) -> Any:
        more.setdefault("jobs", 1)
        return import_cells(kind, path, tmp_path / "out", params, **more)

    return call


@pytest.fixture
def real() -> Path:
    """Real cells; tests that need them are skipped where they are missing."""
    if not REAL.is_dir():
        pytest.skip(f"no real cells in {REAL}")
    return REAL


def tree(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@pytest.fixture
def snapshot() -> Callable[[Path], dict[str, bytes]]:
    """Every file below a folder, hidden ones too, with its bytes."""
    return tree
