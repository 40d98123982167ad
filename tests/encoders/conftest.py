"""Small images, a stub encoder that counts, and small networks in the published layouts."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bloomdiff.data.images import pixel_digest, read_rgb
from bloomdiff.data.manifest import CELL_COLUMNS
from bloomdiff.encoders.base import Encoder
from bloomdiff.encoders.params import EncoderParams
from bloomdiff.encoders.transform import Transform

# Helpers beside the tests are imported by name, here and in the processes that tests start.
sys.path.insert(0, str(Path(__file__).parent))

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
PBC_EXAMPLES = SHARED / "pbc-examples"


class StubEncoder(Encoder):
    """Vectors drawn from each image's bytes; `seen` counts the images that were encoded."""

    def __init__(self, dim: int = 8, batch_size: int = 4, *, engine: str = "local") -> None:
        self.name, self.dim, self.batch_size = "stub", dim, batch_size
        self.digest = hashlib.sha256(b"stub").hexdigest()
        self.transform = Transform(16)
        self.preprocessing = {"transform": self.transform.to_dict()}
        self.params = EncoderParams.model_validate({"name": "stub", "engine": engine})
        self.seen = 0

    def _forward(self, images: Sequence[np.ndarray]) -> np.ndarray:
        self.seen += len(images)
        seeds = [hashlib.sha256(image.tobytes()).digest() for image in images]
        rows = [np.random.default_rng(list(seed)).standard_normal(self.dim) for seed in seeds]
        return np.array(rows, np.float32)


def write_images(folder: Path, n: int, *, seed: int = 0, size: int = 20) -> pd.DataFrame:
    """`n` random PNG files under `folder`, and their manifest."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for i in range(n):
        name = f"s{seed}_{i:03d}.png"
        pixels = rng.integers(0, 256, (size, size + i % 3, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
        rows.append((name[:-4], name, "ab"[i % 2], f"g{i % 5}", "", "test", size + i % 3, size))
    cells = pd.DataFrame(rows, columns=list(CELL_COLUMNS[:-1]))
    cells["blake3"] = [pixel_digest(read_rgb(folder / path)) for path in cells["path"]]
    return cells


@pytest.fixture
def images(tmp_path: Path) -> tuple[pd.DataFrame, Path]:
    folder = tmp_path / "images"
    return write_images(folder, 10), folder


@pytest.fixture
def more_images() -> Callable[..., pd.DataFrame]:
    return write_images


@pytest.fixture
def stub() -> StubEncoder:
    return StubEncoder()


@pytest.fixture
def make_stub() -> Callable[..., StubEncoder]:
    return StubEncoder


@pytest.fixture(scope="session")
def weights_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cache of converted weights, shared by the session's tests."""
    return tmp_path_factory.mktemp("encoders")


@pytest.fixture(scope="session")
def pbc_examples() -> Path:
    if not PBC_EXAMPLES.is_dir():
        pytest.skip(f"{PBC_EXAMPLES} is not here")
    return PBC_EXAMPLES
