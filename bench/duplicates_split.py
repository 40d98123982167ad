"""What a random split of augmented copies claims, and what joining on embeddings alone would do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bloomdiff.data.duplicates import join_families, near_by_embedding
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.folds import FoldParams, make_folds
from bloomdiff.encoders import EncoderParams, embed_cells, load_encoder
from duplicates_truth import Truth

REPEATS = 5
Result = dict[str, Any]


def embed(cells: pd.DataFrame, root: Path, name: str, work: Path) -> EmbeddingSet:
    encoder = load_encoder(EncoderParams(name=name), device="cpu", cache_dir=work / "encoders")
    return embed_cells(cells, root, encoder, cache_dir=work / "embeddings", jobs=1)


def bench_split(embeddings: EmbeddingSet) -> Result:
    """Cross-validated accuracy of logistic regression, split at random and by family."""
    X, y = embeddings.X, embeddings.label

    def at_random(seed: int) -> list[np.ndarray]:
        splitter = StratifiedKFold(5, shuffle=True, random_state=seed)
        return [test for _, test in splitter.split(X, y)]

    def by_family(seed: int) -> list[np.ndarray]:
        cells = embeddings.rows.assign(split="", source="bccd")
        folds = make_folds(cells, FoldParams(), seed=seed)
        tested = folds[folds["role"] == "test"].groupby("fold")["cell_id"]
        return [np.flatnonzero(np.isin(embeddings.cell_id, ids)) for _, ids in tested]

    return {"random": scores(X, y, at_random), "grouped": scores(X, y, by_family)}


def scores(
    X: np.ndarray, y: np.ndarray, split: Callable[[int], list[np.ndarray]]
) -> dict[str, list[float]]:
    """Pooled accuracy and macro-F1 of each repeat."""
    accuracy, macro_f1 = [], []
    for seed in range(REPEATS):
        predicted = np.full(len(y), "", dtype=y.dtype)
        for test in split(seed):
            train = np.setdiff1d(np.arange(len(y)), test)
            model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
            predicted[test] = model.fit(X[train], y[train]).predict(X[test])
        tested = predicted != ""
        accuracy.append(float((predicted[tested] == y[tested]).mean()))
        macro_f1.append(float(f1_score(y[tested], predicted[tested], average="macro")))
    return {"accuracy": accuracy, "macro_f1": macro_f1}


def bench_cosine(embeddings: EmbeddingSet, truth: Truth) -> list[Result]:
    """What joining on cosine alone would do: the reason why pairs are settled on pixels."""
    known = {name: o for name, o in truth.original.items() if o is not None}
    scene = {name: truth.scene[original] for name, original in known.items()}
    rows = []
    for threshold in (0.9, 0.95, 0.98):
        pairs = near_by_embedding(embeddings, threshold).assign(same_cell=False)
        group = join_families(embeddings.rows.assign(group=""), pairs).set_index("cell_id")["group"]
        found = group[list(known)]
        mixed = found.groupby(found).transform(lambda g: g.index.map(scene).nunique()) > 1
        by = pd.Series(known)
        whole = found.groupby(by).nunique()[by.value_counts() > 1] == 1
        rows.append(
            {
                "threshold": threshold,
                "families_whole": float(whole.mean()),
                "unrelated_joined": float(mixed.mean()),
            }
        )
    return rows
