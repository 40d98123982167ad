"""A pool of another laboratory, from fit to samples, densities, classes and saved models."""

import numpy as np
import pandas as pd
import pytest

from bloomdiff.classifiers import make_classifier
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.diffusion.estimator import EmbeddingDiffusion
from bloomdiff.generators import make_generator

MOVE = np.r_[12.0, 9.0, np.zeros(10)].astype(np.float32)
NAMES = np.array(["band", "blast", "monocyte"])
TOLD = "pool can be told from the labelled rows"


def cells(per_class, seed, move=0.0):
    """Three classes at the corners of a triangle in 12 dimensions."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(3), per_class)
    X = rng.normal(size=(len(y), 12))
    X[:, :3] += 6 * np.eye(3)[y]
    names = [f"{seed}-{i}" for i in range(len(y))]
    table = pd.DataFrame({"cell_id": names, "label": NAMES[y], "group": names})
    return EmbeddingSet((X + move).astype(np.float32), table.astype(object), {"encoder": "test"})


@pytest.fixture(scope="module")
def generator():
    model = make_generator("diffusion", {"n_steps": 20, "pool_trust": 0.1}, seed=0)
    with pytest.warns(UserWarning, match=TOLD):
        return model.fit_cells(cells(10, 0), cells(80, 1, MOVE))


def test_every_second_sample_is_drawn_where_the_pool_is(generator):
    X = generator.sample(np.repeat(NAMES, 400), seed=0)
    for c in range(3):
        rows = X[400 * c : 400 * (c + 1)]
        centre = 6 * np.eye(3)[c]
        np.testing.assert_allclose(rows[0::2, :3].mean(axis=0), centre, atol=1.0)
        moved = rows[1::2] - MOVE
        np.testing.assert_allclose(moved[:, :3].mean(axis=0), centre, atol=1.0)


def test_a_pool_of_the_same_place_moves_nothing(recwarn):
    model = make_generator("diffusion", {"n_steps": 20, "pool_trust": 0.1}, seed=0)
    model.fit_cells(cells(10, 0), cells(80, 1))
    assert not [w for w in recwarn if "pool" in str(w.message)]
    X = model.sample(np.repeat(NAMES, 400), seed=0)
    assert np.abs(X[0::2].mean(axis=0) - X[1::2].mean(axis=0)).max() < 0.5


def test_a_saved_generator_draws_the_same(generator, tmp_path):
    generator.save(tmp_path / "model")
    again = type(generator).load(tmp_path / "model")
    label = np.repeat(NAMES, 5)
    np.testing.assert_array_equal(again.sample(label, seed=3), generator.sample(label, seed=3))


def test_cells_of_both_places_are_classified(tmp_path):
    few, pool = cells(10, 0), cells(80, 1, MOVE)
    model = make_classifier("diffusion", {"pool_trust": 0.1})
    with pytest.warns(UserWarning, match=TOLD):
        model.fit(few.X, few.label, fingerprint=few.fingerprint, pool=pool)
    alone = make_classifier("diffusion").fit(few.X, few.label, fingerprint=few.fingerprint)
    model.save(tmp_path / "model")
    again = type(model).load(tmp_path / "model")
    for move in (0.0, MOVE):
        test = cells(100, 2, move)
        proba = model.predict_on(test)
        assert (NAMES[proba.argmax(axis=1)] == test.label).mean() > 0.95
        np.testing.assert_array_equal(again.predict_on(test), proba)
    assert (alone.predict(cells(100, 2, MOVE).X) == test.label).mean() < 0.7


def test_densities_are_as_high_in_either_place():
    few, pool = cells(10, 0), cells(80, 1, MOVE)
    model = EmbeddingDiffusion(n_steps=20, random_state=0)
    with pytest.warns(UserWarning, match=TOLD):
        model.fit(few.X, few.label, pool.X)
    here, there = (cells(100, 2, move) for move in (0.0, MOVE))
    for test in (here, there):
        assert (model.predict(test.X) == test.label).mean() > 0.95
    density = [model.score_samples(test.X) for test in (here, there)]
    between = model.score_samples(here.X + MOVE / 2)
    assert abs(density[0].mean() - density[1].mean()) < 0.5
    assert between.mean() < density[0].mean() - 5


def test_the_side_is_told_where_the_pool_moved_as_one_class_from_another():
    """By as much as two classes lie apart, and farther in directions in which none differ."""
    move = np.r_[6.0, -6.0, np.zeros(6), 8.0, 8.0, 0.0, 0.0].astype(np.float32)
    few, pool = cells(25, 0), cells(80, 1, move)
    model, classifier = EmbeddingDiffusion(n_steps=0, random_state=0), make_classifier("diffusion")
    with pytest.warns(UserWarning, match=TOLD):
        model.fit(few.X, few.label, pool.X)
    with pytest.warns(UserWarning, match=TOLD):
        classifier.fit(few.X, few.label, fingerprint=few.fingerprint, pool=pool)
    for test in (cells(200, 2), cells(200, 3, move)):
        for told in (model, classifier):
            assert (told.predict(test.X) == test.label).mean() > 0.97
