"""A small project: crops with images, a manifest with fields and boxes, embeddings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.images import encode_png

CLASSES = ("basophil", "lymphocyte", "monocyte")
FIELD = (200, 150)  # width, height


def make(
    folder: Path, n: int = 48, n_labelled: int = 12, *, images: bool = True
) -> tuple[pd.DataFrame, EmbeddingSet]:
    """Cells of three classes, four in each field; every class has labels."""
    rng = np.random.default_rng(11)
    truth = np.asarray([CLASSES[i % 3] for i in range(n)])
    X = rng.normal(size=(n, 8)) + 3 * (truth[:, None] == np.asarray(CLASSES)) @ np.eye(3, 8)
    rows = []
    for i in range(n):
        path = f"images/lab/cell-{i:03d}.png"
        if images:
            pixels = np.clip(rng.normal(200, 15, (24, 24, 3)), 0, 255).astype(np.uint8)
            pixels[6:18, 6:18] = rng.normal((90, 60, 130), 12, (12, 12, 3)).clip(0, 255)
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(encode_png(pixels))
        rows.append(
            {
                "cell_id": f"lab/cell-{i:03d}",
                "path": path,
                "label": truth[i] if i < n_labelled else "",
                "group": f"slide-{i // 8}",
                "split": "",
                "source": "lab",
                "width": 24,
                "height": 24,
                "blake3": "",
                "field": f"field-{i // 4}.png",
                "box_x": 40.0 * (i % 4) + 5,
                "box_y": 30.5,
                "box_width": 24.0,
                "box_height": 22.0,
            }
        )
    cells = pd.DataFrame(rows)
    embeddings = EmbeddingSet(
        X.astype(np.float32), cells[["cell_id", "label", "group"]], {"encoder": "test"}
    )
    return cells, embeddings


def truth_of(cell_id: str) -> str:
    return CLASSES[int(cell_id[-3:]) % 3]
