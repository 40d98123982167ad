import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from bloomdiff.diffusion.estimator import EmbeddingDiffusion
from bloomdiff.diffusion.prior import ClassPrior
from bloomdiff.diffusion.temperature import TEMPERATURES, UNTESTED, held_out_temperature


def cells(per_class, seed, *, d=60, classes=5, gap=2.0):
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(classes), per_class)
    X = rng.normal(size=(len(y), d)) + gap * np.eye(classes, d)[y]
    return X.astype(np.float32), y


def test_few_rows_in_many_dimensions_are_believed_less():
    X, y = cells(6, 0)
    test, truth = cells(200, 1)
    scores = ClassPrior.fit(X, y).scores(test)
    t = held_out_temperature(X, y)
    assert t > 1.5
    tempered, plain = (log_loss(truth, softmax(scores / s, axis=1)) for s in (t, 1))
    assert tempered < 0.9 * plain


def test_with_many_rows_the_model_is_right_about_its_sureness():
    X, y = cells(600, 0, d=8)
    assert held_out_temperature(X, y) == pytest.approx(1, abs=0.25)


def test_without_classes_to_tell_it_is_one():
    X = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    assert held_out_temperature(X, np.zeros(3, dtype=np.intp)) == 1.0


def test_with_one_label_a_class_it_is_never_sure():
    X, y = cells(1, 0, d=384, gap=4.0)
    test, truth = cells(200, 1, d=384, gap=4.0)
    model = EmbeddingDiffusion(n_steps=1, random_state=0).fit(X, y)
    assert model.temperature_ == held_out_temperature(X, y) == UNTESTED
    plain = softmax(model.model_.prior.scores(test), axis=1)
    assert log_loss(truth, model.predict_proba(test)) < min(np.log(5), log_loss(truth, plain))
    assert (model.predict(test) == plain.argmax(axis=1)).all()


def test_copies_of_rows_are_no_evidence():
    X, y = cells(6, 0)
    alone = held_out_temperature(X, y)
    copied = np.random.default_rng(0).permutation(np.repeat(np.arange(len(y)), 4))
    # As often as the rows themselves, so that nothing else that is learned changes.
    assert held_out_temperature(np.tile(X, (4, 1)), np.tile(y, 4)) >= alone
    assert held_out_temperature(X[copied], y[copied]) >= alone
    once = np.array([np.flatnonzero(y == c)[0] for c in range(5)])
    assert held_out_temperature(np.repeat(X[once], 3, 0), np.repeat(y[once], 3)) == UNTESTED


def test_where_any_will_do_it_is_one():
    X, y = cells(6, 0, gap=1e4)
    assert held_out_temperature(X, y) == 1.0


@pytest.mark.parametrize("seed", [0, 5])
def test_what_was_learned_with_a_pool_is_believed_as_such(seed):
    """A pool makes Bayes' rule surer and right; a temperature found without it would hide that."""
    X, y = cells(5, seed)
    pool, test, truth = cells(100, seed + 1)[0], *cells(100, seed + 2)
    model = EmbeddingDiffusion(n_steps=0, random_state=0).fit(X, y, X_unlabelled=pool)
    without = held_out_temperature(X, y)
    assert model.temperature_ < without
    scores = model.model_.class_scores(test, "prior")
    told, timid = (
        log_loss(truth, softmax(scores / t, axis=1)) for t in (model.temperature_, without)
    )
    assert told < 0.8 * timid


def test_it_tempers_probabilities_and_leaves_predictions():
    X, y = cells(6, 0)
    model = EmbeddingDiffusion(n_steps=0, random_state=0).fit(X, y)
    scores = model.model_.prior.scores(X)
    np.testing.assert_allclose(model.predict_proba(X), softmax(scores / model.temperature_, axis=1))
    np.testing.assert_array_equal(model.predict(X), scores.argmax(axis=1))


def test_rare_classes_weigh_as_much_as_common_ones():
    """What is learned gives the rows themselves as log-likelihoods: scikit-learn is the oracle."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [300, 12, 12])
    X = rng.normal(size=(len(y), 3)) + np.where(y == 0, 6, 0.3)[:, None] * np.eye(3)[y]

    class Rows:
        def scores(self, X):
            return X

    weight = 1 / np.bincount(y)[y]
    loss = [log_loss(y, softmax(X / t, axis=1), sample_weight=weight) for t in TEMPERATURES]
    plain = [log_loss(y, softmax(X / t, axis=1)) for t in TEMPERATURES]
    assert np.argmin(loss) != np.argmin(plain)
    assert held_out_temperature(X, y, lambda X, y: Rows()) == TEMPERATURES[np.argmin(loss)]
