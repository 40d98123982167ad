import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from bloomdiff.data.embedding_set import EmbeddingSet, SyntheticSet
from bloomdiff.data.fingerprint import Fingerprint


def embedding_set(X, label, group):
    rows = pd.DataFrame(
        {
            "cell_id": [f"cell-{i}" for i in range(len(X))],
            "label": np.asarray(label, dtype=object),
            "group": np.asarray(group, dtype=object),
        }
    )
    return EmbeddingSet(np.ascontiguousarray(X, dtype=np.float32), rows)


@pytest.fixture(scope="session")
def digits():
    """Scikit-learn's handwritten digits, imbalanced; train and test have their own groups."""
    X, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    keep = rng.random(len(y)) < np.where(y < 3, 1.0, 0.4)
    X, y = X[keep].astype(np.float32), np.array([f"digit {k}" for k in y[keep]])
    order = rng.permutation(len(y))
    test, train = order[:300], order[300:]
    return (
        embedding_set(X[train], y[train], [f"train {i % 7}" for i in range(len(train))]),
        embedding_set(X[test], y[test], [f"test {i % 5}" for i in range(len(test))]),
    )


@pytest.fixture(scope="session")
def synthetic(digits):
    """Means of pairs of training rows of one class, standing in for a generator's."""
    train, _ = digits
    rng = np.random.default_rng(1)
    names = np.unique(train.label)
    pairs = [rng.choice(np.flatnonzero(train.label == name), (40, 2)) for name in names]
    X = train.X[np.concatenate(pairs)].mean(axis=1)
    return SyntheticSet.make(
        X,
        np.repeat(names, 40),
        generator="noise",
        seed=1,
        guidance=float("nan"),
        fingerprint=Fingerprint.of(["train 0", "of the generator alone"]),
    )
