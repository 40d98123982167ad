import numpy as np
import pandas as pd
import pytest

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.selection.label_errors import contradictions, likely_wrong, out_of_fold


def labelled(X, y, group=None):
    ids = [f"cell-{i}" for i in range(len(y))]
    rows = pd.DataFrame({"cell_id": ids, "label": y, "group": ids if group is None else group})
    return EmbeddingSet(np.asarray(X, dtype=np.float32), rows)


@pytest.mark.parametrize("seed", range(5))
def test_likely_wrong_labels_are_cleanlabs(seed):
    count = pytest.importorskip("cleanlab.count")
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet(np.ones(4) * 0.6, size=200)
    y = np.asarray([rng.choice(4, p=p) for p in proba])
    _, pairs = count.compute_confident_joint(y, proba, return_indices_of_off_diagonals=True)
    ours, rather = likely_wrong(y, proba)
    assert sorted(ours.tolist()) == sorted(pairs)
    assert (rather != y[ours]).all()
    assert (np.diff(proba[ours, y[ours]]) >= 0).all()


def test_a_class_without_labels_convinces_of_nothing():
    proba = np.asarray([[0.2, 0.8], [0.3, 0.7]])
    wrong, _ = likely_wrong(np.asarray([0, 0]), proba)
    assert wrong.tolist() == []


def test_planted_wrong_labels_are_found(blobs):
    X, y = blobs
    X = X * 3
    planted = np.flatnonzero(y == "blast")[[3, 9, 20]]
    given = y.copy()
    given[planted] = "monocyte"
    table = contradictions(labelled(X, given), seed=0, min_cosine=2)
    found = set(table["cell_id"])
    caught = [f"cell-{i}" for i in planted if f"cell-{i}" in found]
    assert len(caught) >= 2
    assert len(found) <= 12
    first = table.set_index("cell_id").loc[caught[0]]
    assert first["rather"] == "blast"
    assert first["reason"].startswith("likely wrong: blast ")


def test_no_cell_is_judged_by_its_own_group(blobs):
    X, y = blobs
    index, _, proba, names = out_of_fold(labelled(X, y), seed=0)
    assert sorted(index.tolist()) == list(range(len(X)))
    assert proba.shape == (len(X), len(names))
    # With every class in one group there is nothing to hold out.
    index, *_ = out_of_fold(labelled(X, y, group=y), seed=0)
    assert len(index) == 0


def test_near_identical_cells_with_two_labels_are_a_conflict(blobs):
    X, y = blobs
    table = contradictions(
        labelled(np.concatenate([X, X[:1]]), [*y, "other"]), seed=0, min_cosine=0.9999
    )
    conflicts = table[table["reason"].str.startswith("conflict")]
    assert set(conflicts["cell_id"]) == {"cell-0", f"cell-{len(X)}"}
    assert "which is labelled other" in conflicts["reason"].iloc[0]


def test_of_many_identical_cells_each_is_told_with_a_few():
    y = [f"class {i % 10}" for i in range(600)]
    table = contradictions(labelled(np.ones((600, 4)), y), seed=0, min_cosine=0.995)
    conflicts = table[table["reason"].str.startswith("conflict")]
    assert conflicts["cell_id"].value_counts().tolist() == [3] * 600
    assert (conflicts["label"] != conflicts["rather"]).all()


def test_the_most_alike_cells_are_told_first():
    angle = np.asarray([0, 0.05, 0.04, 0.03, 0.02, 0.01])
    X = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    table = contradictions(labelled(X, ["a", *"bbbbb"]), seed=0, min_cosine=0.9)
    told = table[table["reason"].str.startswith("conflict")]["reason"].str.extract(
        r"with (cell-\d)"
    )
    assert told[0].tolist() == ["cell-5", "cell-4", "cell-3", *["cell-0"] * 5]


def test_few_labels_are_no_trouble():
    assert contradictions(labelled([[1, 2]], ["a"]), seed=0, min_cosine=0.9).empty
    assert contradictions(labelled([[1, 2], [3, 9]], ["a", "b"]), seed=0, min_cosine=0.99).empty
