"""Cells with views that two tests of benchmarks look at."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import ortho_group

from bloomdiff.data.embedding_set import EmbeddingSet


def cells(n: int, prefix: str, seed: int, apart: float = 2.0) -> EmbeddingSet:
    """Two classes that differ where views move nothing; no axis shows which is which."""
    turn = ortho_group.rvs(8, random_state=7)
    rng = np.random.default_rng(seed)
    label = np.arange(n) % 2
    own = np.zeros((n, 8))
    own[:, 0] = apart * label + 0.2 * rng.normal(size=n)
    scale = np.r_[np.full(5, 0.2), np.full(3, 6.0)]
    X = own + scale * rng.normal(size=(n, 8))
    views = own[:, None] + scale * rng.normal(size=(n, 4, 8))
    names = [f"{prefix}{i}" for i in range(n)]
    rows = pd.DataFrame({"cell_id": names, "label": np.array(["a", "b"])[label], "group": names})
    return EmbeddingSet((X @ turn).astype(np.float32), rows, {}, (views @ turn).astype(np.float32))
