"""Linear discriminant analysis on many rows, and the estimator's `predict_proba`, as oracles."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.datasets import make_blobs
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import f1_score, log_loss

from bloomdiff.classifiers import make_classifier
from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.diffusion.estimator import EmbeddingDiffusion
from bloomdiff.diffusion.temperature import UNTESTED, held_out_temperature
from bloomdiff.errors import ParameterError
from bloomdiff.generators import make_generator


def test_many_rows_are_linear_discriminant_analysis():
    """The centres are not shrunk any more; how frequent the classes are has no say."""
    frequencies = [6000, 3000, 1000, 600]
    X, y = make_blobs(frequencies, 5, centers=None, center_box=(-1.5, 1.5), random_state=1)
    X = (X @ np.random.default_rng(0).normal(size=(5, 5))).astype(np.float32)
    label = np.array([f"cluster {k}" for k in y])
    params = {"shrinkage": 0.0}
    ours = make_classifier("diffusion", params).fit(X, label, fingerprint=Fingerprint.empty())
    oracle = LinearDiscriminantAnalysis(priors=[0.25] * 4).fit(X, label)
    log_proba = oracle.predict_log_proba(X) / ours._temperature
    disputed = oracle.predict_proba(X).max(axis=1) < 0.7
    assert disputed.sum() > 100
    expected = softmax(log_proba, axis=1)
    np.testing.assert_allclose(ours.predict_proba(X), expected, atol=0.02)
    natural = LinearDiscriminantAnalysis().fit(X, label)
    assert np.abs(natural.predict_proba(X) - expected).max() > 0.2


@pytest.mark.parametrize("with_pool", [False, True])
def test_it_is_the_estimator_without_its_network(digits, with_pool):
    train, test = digits
    label = train.label
    shots = np.concatenate([np.flatnonzero(label == name)[:3] for name in np.unique(label)])
    few, pool = train.take(shots), train.take(np.setdiff1d(np.arange(len(train)), shots))
    ours = make_classifier("diffusion", {"pool_trust": 0.3}).fit(
        few.X, few.label, fingerprint=few.fingerprint, pool=pool if with_pool else None
    )
    oracle = EmbeddingDiffusion(n_steps=0, pool_trust=0.3, random_state=0)
    oracle.fit(few.X, few.label, pool.X if with_pool else None)
    np.testing.assert_allclose(ours.predict_proba(test.X), oracle.predict_proba(test.X), atol=1e-3)


@pytest.mark.parametrize("name", ["oversample", "smote", "gaussian"])
def test_beside_synthetic_rows_it_is_not_sure_of_what_they_repeat(digits, name):
    train, test = digits
    label = train.label
    shots = np.concatenate([np.flatnonzero(label == c)[:5] for c in np.unique(label)])
    few = train.take(shots)
    made = make_generator(name, seed=0).fit(few.X, few.label, fingerprint=few.fingerprint)
    rows = made.synthesize(np.repeat(np.unique(label), 50), seed=0)
    joint = make_classifier("diffusion").fit(
        few.X, few.label, fingerprint=few.fingerprint, synthetic=rows
    )
    assert joint._temperature == UNTESTED
    lost = log_loss(test.label, joint.predict_proba(test.X))
    assert lost < np.log(len(np.unique(label)))  # of a uniform guess
    if name != "gaussian":  # rows that are, or lie between, those that would be held out
        joint._temperature = held_out_temperature(
            joint._standardise(np.concatenate([few.X, rows.X])),
            np.unique(np.concatenate([few.label, rows.label]), return_inverse=True)[1],
        )
        assert lost < log_loss(test.label, joint.predict_proba(test.X))


def test_few_rows_are_classified_better_than_by_logistic_regression(digits):
    train, test = digits
    label, rng = train.label, np.random.default_rng(0)
    scores = {"diffusion": [], "logistic": []}
    for _ in range(8):
        shots = [rng.choice(np.flatnonzero(label == c), 5, replace=False) for c in np.unique(label)]
        few = train.take(np.concatenate(shots))
        for name, of in scores.items():
            model = make_classifier(name).fit(few.X, few.label, fingerprint=few.fingerprint)
            of.append(f1_score(test.label, model.predict(test.X), average="macro"))
    gain = np.subtract(scores["diffusion"], scores["logistic"])
    assert gain.mean() > 2 * gain.std(ddof=1) / np.sqrt(len(gain))


def test_a_shrinkage_above_one_is_told():
    with pytest.raises(ParameterError, match="shrinkage"):
        make_classifier("diffusion", {"shrinkage": 1.5})
