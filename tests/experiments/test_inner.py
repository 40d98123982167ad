"""Inner folds: the same at every trial, in units that no held-out cell was looked at for."""

import numpy as np
import pandas as pd
import pytest

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.fingerprint import assert_disjoint
from bloomdiff.data.view_whitening import ViewWhitening
from bloomdiff.errors import LeakageError
from bloomdiff.experiments.inner import InnerFolds


def cells(n: int, first_group: int, label: list[str]) -> EmbeddingSet:
    rng = np.random.default_rng(first_group)
    rows = pd.DataFrame(
        {
            "cell_id": [f"c{first_group + i}" for i in range(n)],
            "label": np.resize(label, n),
            "group": [f"g{first_group + i // 4}" for i in range(n)],
        }
    )
    X = rng.normal(size=(n, 6)).astype(np.float32)
    return EmbeddingSet(X, rows, {}, rng.normal(size=(n, 3, 6)).astype(np.float32))


@pytest.fixture
def folds():
    # Groups g100 to g105 are in the pool, too, where nobody has labelled those cells.
    train = cells(48, 100, ["a", "b"])
    return InnerFolds(train, cells(40, 94, [""]), n_splits=3, seed=0)


def test_held_out_groups_are_nowhere_else(folds):
    parts = list(folds)
    assert len(parts) == 3
    for part in parts:
        apart = set(part.held_out.group)
        assert apart
        assert not apart & {*part.train.group, *part.pool.group}
    assert any(len(part.pool) < 40 for part in parts)
    assert sorted(c for part in parts for c in part.held_out.cell_id) == sorted(
        f"c{100 + i}" for i in range(48)
    )


def test_units_are_those_of_the_cells_seen(folds):
    for part in folds:
        afresh = ViewWhitening.of(part.train, part.pool)
        np.testing.assert_array_equal(part.whitening.inwards, afresh.inwards)
        assert_disjoint(part.held_out.group, part.whitening.fingerprint, what="the units")
        with pytest.raises(LeakageError):
            assert_disjoint(part.train.group, part.whitening.fingerprint, what="the units")


def test_units_are_learned_once(folds, monkeypatch):
    first = list(folds)
    monkeypatch.setattr(ViewWhitening, "of", None)
    for before, after in zip(first, folds, strict=True):
        assert after.whitening is before.whitening
        np.testing.assert_array_equal(after.train.cell_id, before.train.cell_id)


def test_no_folds_where_nothing_can_be_held_out():
    train = cells(8, 0, ["a"]).take(np.arange(4))
    folds = InnerFolds(train, cells(4, 90, [""]), n_splits=3, seed=0)
    assert not folds
    assert list(folds) == []
