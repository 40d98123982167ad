"""Units from the cells' own views: what they do, whom they tell, and that the leak guard knows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ortho_group
from sklearn.metrics import f1_score
from sklearn.neighbors import NearestCentroid

from bloomdiff.classifiers import CLASSIFIERS, make_classifier
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.data.view_whitening import RIDGE, ViewWhitening
from bloomdiff.errors import IntegrityError, LeakageError
from bloomdiff.experiments.sweep import sweep_fold
from bloomdiff.generators import make_generator
from bloomdiff.selection.simulation import by_strategy, full_score, replay

DIM, VIEWS, CLASSES = 16, 4, 3


def seen_cells(n: int, prefix: str, *, seed: int, nuisance: float = 6.0) -> EmbeddingSet:
    """Classes that differ where a nuisance does not move them; no axis shows which is which."""
    turn = ortho_group.rvs(DIM, random_state=7)
    rng = np.random.default_rng(seed)
    scale = np.where(np.arange(DIM) < 6, nuisance, 0.3)
    label = np.arange(n) % CLASSES
    centre = np.zeros((CLASSES, DIM))
    centre[np.arange(CLASSES), DIM - 1 - np.arange(CLASSES)] = 2
    own = centre[label] + 0.3 * rng.normal(size=(n, DIM))
    X = own + scale * rng.normal(size=(n, DIM))
    views = own[:, None] + scale * rng.normal(size=(n, VIEWS, DIM))
    rows = pd.DataFrame(
        {
            "cell_id": [f"{prefix}{i:03d}" for i in range(n)],
            "label": np.array(["a", "b", "c"])[label].astype(object),
            "group": [f"{prefix}{i // 3}" for i in range(n)],
        }
    )
    return EmbeddingSet((X @ turn).astype(np.float32), rows, {}, (views @ turn).astype(np.float32))


@pytest.fixture(scope="module")
def train() -> EmbeddingSet:
    return seen_cells(30, "train", seed=0)


@pytest.fixture(scope="module")
def test_cells() -> EmbeddingSet:
    return seen_cells(150, "test", seed=1)


def test_views_vary_alike_in_the_new_units(train):
    whitening = ViewWhitening.of(train)
    own = train.views - train.views.mean(axis=1, keepdims=True)
    before = np.linalg.eigvalsh(np.cov(own.reshape(-1, DIM).T))
    after = np.linalg.eigvalsh(np.cov(whitening.transform(own.reshape(-1, DIM)).T))
    assert before[-1] / before[0] > 300
    assert after[-1] / after[0] < before[-1] / before[0] / 5
    assert np.median(after[6:]) == pytest.approx(before.mean(), rel=0.7)


def test_there_and_back(train):
    whitening = ViewWhitening.of(train)
    back = whitening.inverse_transform(whitening.transform(train.X))
    np.testing.assert_allclose(back, train.X, atol=1e-4)


def test_few_cells_are_shrunk_and_never_singular():
    whitening = ViewWhitening.of(seen_cells(1, "one", seed=0))
    assert np.isfinite(whitening.inwards).all()
    assert np.linalg.cond(whitening.inwards) < np.sqrt(DIM / RIDGE + 1)


def test_an_encoder_that_no_view_moves_keeps_its_units(train):
    still = replace(train, views=np.repeat(train.X[:, None], 2, axis=1))
    np.testing.assert_array_equal(ViewWhitening.of(still).inwards, np.eye(DIM))


def test_sets_without_views_have_none(train):
    bare = replace(train, views=None)
    assert ViewWhitening.of() is None
    assert ViewWhitening.of(bare, None, train.take([])) is None
    assert ViewWhitening.of(bare, train).fingerprint == train.fingerprint


def test_more_cells_than_are_looked_at_are_sampled(train, monkeypatch):
    monkeypatch.setattr("bloomdiff.data.view_whitening.MOST_CELLS", 20)
    few, again = ViewWhitening.of(train), ViewWhitening.of(train)
    np.testing.assert_array_equal(few.inwards, again.inwards)
    monkeypatch.undo()
    assert (few.inwards != ViewWhitening.of(train).inwards).any()


def test_the_sample_is_drawn_over_all_sets_together(train, test_cells, monkeypatch):
    drawn = np.random.default_rng(0).choice(180, 20, replace=False)
    alone = ViewWhitening.of(EmbeddingSet.concatenate([train, test_cells]).take(np.sort(drawn)))
    monkeypatch.setattr("bloomdiff.data.view_whitening.MOST_CELLS", 20)
    np.testing.assert_allclose(
        ViewWhitening.of(train, test_cells).inwards, alone.inwards, rtol=1e-4, atol=1e-6
    )


def test_a_fingerprint_may_be_given_where_groups_are_carried_otherwise(train, test_cells):
    whitening = ViewWhitening.of(train, test_cells, fingerprint=Fingerprint.empty())
    assert not whitening.fingerprint.overlap(train.group)
    assert ViewWhitening.of(train, test_cells).fingerprint == train.fingerprint | (
        test_cells.fingerprint
    )
    np.testing.assert_array_equal(whitening.inwards, ViewWhitening.of(train, test_cells).inwards)


def test_it_sees_no_label(train):
    mixed = replace(train, rows=train.rows.assign(label="a"))
    np.testing.assert_array_equal(ViewWhitening.of(train).inwards, ViewWhitening.of(mixed).inwards)


def test_it_finds_classes_that_the_nuisance_hides(train, test_cells):
    whitening = ViewWhitening.of(train)
    scores = []
    for turn in (lambda X: X, whitening.transform):
        model = NearestCentroid().fit(turn(train.X), train.label)
        scores.append(
            f1_score(test_cells.label, model.predict(turn(test_cells.X)), average="macro")
        )
    assert scores[1] > scores[0] + 0.2


@pytest.mark.parametrize("name", CLASSIFIERS.names())
def test_a_classifier_learns_in_the_new_units(name, train, test_cells, tmp_path):
    whitening = ViewWhitening.of(train)
    given = {"fingerprint": train.fingerprint}
    model = make_classifier(name, seed=0).fit(train.X, train.label, whitening=whitening, **given)
    turned = make_classifier(name, seed=0).fit(whitening.transform(train.X), train.label, **given)
    proba = model.predict_on(test_cells)
    expected = turned.predict_proba(whitening.transform(test_cells.X))
    np.testing.assert_allclose(proba, expected, atol=1e-6)
    model.save(tmp_path / "model")
    loaded = CLASSIFIERS[name].load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_on(test_cells), proba)


@pytest.mark.parametrize("name", ["gaussian", "smote", "diffusion"])
def test_a_generator_learns_in_them_and_gives_embeddings(name, train, tmp_path):
    params = {"n_steps": 0} if name == "diffusion" else {}
    whitening = ViewWhitening.of(train)
    made = make_generator(name, params, seed=0).fit_cells(train, train.take([]))
    turned = replace(train, X=whitening.transform(train.X), views=None)
    other = make_generator(name, params, seed=0).fit_cells(turned, turned.take([]))
    asked = np.array(["a", "b", "b", "c"])
    rows = made.sample(asked, seed=1)
    expected = whitening.inverse_transform(other.sample(asked, seed=1))
    np.testing.assert_allclose(rows, expected, atol=1e-5)
    made.save(tmp_path / "made")
    np.testing.assert_array_equal(type(made).load(tmp_path / "made").sample(asked, seed=1), rows)


@pytest.mark.parametrize("name", ["gaussian", "smote", "diffusion"])
def test_a_row_is_the_same_however_many_are_drawn(name, train):
    params = {"n_steps": 0} if name == "diffusion" else {}
    made = make_generator(name, params, seed=0).fit_cells(train, train.take([]))
    few, many = (made.sample(np.array(["a"] * n), seed=3) for n in (3, 200))
    np.testing.assert_array_equal(few, many[:3])


def test_copies_stay_copies(train):
    made = make_generator("oversample", seed=0).fit_cells(train, train.take([]))
    rows = made.sample(np.array(["a"] * 5), seed=0)
    assert all((row == train.X).all(axis=1).any() for row in rows)


def test_units_of_cells_under_test_are_a_leak(train, test_cells):
    """Whoever whitens by the test cells' views has seen these cells, labels or no labels."""
    leaking = ViewWhitening.of(train, test_cells)
    given = {"fingerprint": train.fingerprint, "whitening": leaking}
    model = make_classifier("logistic", seed=0).fit(train.X, train.label, **given)
    with pytest.raises(LeakageError):
        model.predict_on(test_cells)
    made = make_generator("gaussian", seed=0).fit(train.X, train.label, **given)
    synthetic = made.synthesize(np.array(["a", "b", "c"]), seed=0)
    with pytest.raises(LeakageError):
        list(
            sweep_fold(
                train,
                test_cells,
                synthetic,
                ratios=[1],
                seeds=[0],
                allocation="uniform",
                classifiers={"logistic": {}},
            )
        )


def test_the_sweep_whitens_by_training_cells_alone(train, test_cells):
    def scores(train, test):
        options = {"ratios": [0], "seeds": [0], "allocation": "uniform"}
        found = sweep_fold(train, test, None, classifiers={"logistic": {}}, **options)
        return next(found).scores["macro_f1"]

    bare = replace(train, views=None)
    assert scores(train, test_cells) > scores(bare, test_cells) + 0.05
    # The views of the cells under test are not looked at.
    blind = replace(test_cells, views=np.zeros_like(test_cells.views))
    assert scores(train, test_cells) == scores(train, blind)


def test_replayed_annotation_works_in_them(train, test_cells):
    chooser = by_strategy("k-center")
    made = replay(test_cells, train, chooser, budgets=[6, 12], seed=0)
    bare = replay(replace(test_cells, views=None), train, chooser, budgets=[6, 12], seed=0)
    assert made.order.tolist() != bare.order.tolist()
    score = full_score(train, test_cells, seed=0)["macro_f1"]
    assert score > full_score(replace(train, views=None), test_cells, seed=0)["macro_f1"]


# ------------------------------------------------------------------------- the set that has them
def test_views_are_kept_taken_and_stacked(train, tmp_path):
    train.save(tmp_path / "cells.parquet")
    loaded = EmbeddingSet.load(tmp_path / "cells.parquet")
    assert loaded.views.tobytes() == train.views.tobytes()
    some = train.take([4, 1])
    np.testing.assert_array_equal(some.views, train.views[[4, 1]])
    assert train.take([]).views.shape == (0, VIEWS, DIM)
    both = EmbeddingSet.concatenate([some, train])
    np.testing.assert_array_equal(both.views[2:], train.views)
    assert EmbeddingSet.concatenate([some, replace(train, views=None)]).views is None
    assert train.fingerprint == Fingerprint.of(train.group)


def test_damaged_views_are_found(train, tmp_path):
    import pyarrow.parquet as pq

    path = tmp_path / "cells.parquet"
    train.save(path)
    table = pq.read_table(path)
    column = table.schema.get_field_index("views")
    mixed = table.column("views").take([*list(range(1, len(train))), 0])
    pq.write_table(table.set_column(column, "views", mixed), path)
    with pytest.raises(IntegrityError):
        EmbeddingSet.load(path)


@pytest.mark.parametrize(
    "views",
    [
        np.zeros((30, 2, DIM + 1), np.float32),
        np.zeros((29, 2, DIM), np.float32),
        np.zeros((30, 0, DIM), np.float32),
        np.zeros((30, 2, DIM)),
        np.zeros((30, DIM), np.float32),
    ],
)
def test_views_that_do_not_fit_are_refused(train, views):
    with pytest.raises(ValueError, match="views"):
        replace(train, views=views)


def test_a_column_that_is_constant_stays_constant(test_cells):
    """In the units of views it is rounding, which must not be blown up to a unit of its own."""
    train = seen_cells(30, "train", seed=0)
    X, views, X_test = train.X.copy(), train.views.copy(), test_cells.X.copy()
    for values in (X, views, X_test):
        values[..., 5] = 0
    train = replace(train, X=X, views=views)
    whitening = ViewWhitening.of(train)
    rows = {"fingerprint": train.fingerprint, "whitening": whitening}
    made = make_generator("gaussian", seed=0).fit(train.X, train.label, **rows)
    synthetic = made.synthesize(np.repeat(["a", "b", "c"], 30), seed=0)
    model = make_classifier("logistic").fit(train.X, train.label, synthetic=synthetic, **rows)
    assert np.abs(model._standardise(synthetic.X)).max() < 100
    assert f1_score(test_cells.label, model.predict(X_test), average="macro") > 0.9
