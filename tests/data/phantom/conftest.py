from pathlib import Path

import pytest

from bloomdiff.data.phantom import PhantomParams, write_phantom

# Small enough to draw in seconds: every class, few slides, coarse pixels.
SMALL = PhantomParams(
    n_cells=72, n_slides=6, min_per_class=3, image_size=96, micrometres_per_pixel=0.25
)


@pytest.fixture(scope="session")
def small() -> PhantomParams:
    return SMALL


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small phantom, drawn once; tests only read it."""
    out = tmp_path_factory.mktemp("phantom")
    write_phantom(out, SMALL, seed=0, jobs=1)
    return out
