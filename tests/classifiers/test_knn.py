import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from bloomdiff.classifiers import make_classifier
from bloomdiff.data.fingerprint import Fingerprint


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [1, 7])
def test_unweighted_votes_are_scikit_learns(metric, k):
    """With classes of one size the weights are equal and the plain classifier is the oracle."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 16)).astype(np.float32)
    y = np.repeat(["a", "b", "c"], 100)
    fresh = rng.normal(size=(80, 16)).astype(np.float32)
    ours = make_classifier("knn", {"k": k, "metric": metric}).fit(
        X, y, fingerprint=Fingerprint.of(["g"])
    )
    oracle = KNeighborsClassifier(k, metric=metric, algorithm="brute").fit(ours._standardise(X), y)
    expected = oracle.predict_proba(ours._standardise(fresh))
    np.testing.assert_allclose(ours.predict_proba(fresh), expected, atol=1e-6)


def test_a_vote_weighs_as_its_class():
    """Neighbours 2 × common, 1 × rare; 6 common and 2 rare rows: votes 2 · 8/12 and 1 · 8/4."""
    X = np.array([[0], [1], [2], [50], [60], [70], [80], [90]], dtype=np.float32)
    y = np.array(["common", "common", "rare", "common", "common", "common", "common", "rare"])
    classifier = make_classifier("knn", {"k": 3, "metric": "euclidean"}).fit(
        X, y, fingerprint=Fingerprint.of(["g"])
    )
    proba = classifier.predict_proba(np.array([[1.0]], dtype=np.float32))
    np.testing.assert_allclose(proba, [[4 / 3 / (4 / 3 + 2), 2 / (4 / 3 + 2)]], rtol=1e-6)


def test_fewer_rows_than_neighbours():
    X = np.array([[0.0], [1.0]], dtype=np.float32)
    classifier = make_classifier("knn", {"k": 10, "metric": "euclidean"}).fit(
        X, np.array(["a", "b"]), fingerprint=Fingerprint.of(["g"])
    )
    np.testing.assert_allclose(classifier.predict_proba(X), 0.5)
