import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.utils.class_weight import compute_sample_weight

from bloomdiff.classifiers import make_classifier
from bloomdiff.data.fingerprint import Fingerprint


@pytest.mark.parametrize("n_classes", [2, 10])
def test_our_reading_of_the_trees_is_scikit_learns(digits, n_classes):
    train, test = (
        part.take(np.isin(part.label, [f"digit {k}" for k in range(n_classes)])) for part in digits
    )
    ours = make_classifier("gradient-boosting", {"iterations": 20}, seed=5).fit(
        train.X, train.label, fingerprint=train.fingerprint
    )
    oracle = HistGradientBoostingClassifier(
        max_iter=20,
        learning_rate=0.1,
        max_leaf_nodes=15,
        min_samples_leaf=5,
        l2_regularization=1.0,
        max_features=0.2,
        max_bins=63,
        early_stopping=False,
        random_state=5,
    ).fit(
        ours._standardise(train.X),
        train.label,
        sample_weight=compute_sample_weight("balanced", train.label).astype(np.float32),
    )
    expected = oracle.predict_proba(ours._standardise(test.X))
    np.testing.assert_allclose(ours.predict_proba(test.X), expected, rtol=1e-9, atol=1e-12)


def test_a_value_on_a_threshold_goes_the_way_scikit_learn_sends_it():
    """Features of -1 and 1 are split at 0 exactly, where the query lies."""
    X = np.repeat([[-1.0], [1.0]], 20, axis=0).astype(np.float32)
    y = np.repeat(["a", "b"], 20)
    params = {"iterations": 3, "max_features": 1.0}
    ours = make_classifier("gradient-boosting", params, seed=0).fit(
        X, y, fingerprint=Fingerprint.of(["g"])
    )
    oracle = HistGradientBoostingClassifier(
        max_iter=3, min_samples_leaf=5, l2_regularization=1.0, max_bins=63, early_stopping=False
    ).fit(X, y)
    query = np.array([[0.0], [-1e-6], [1e-6]], dtype=np.float32)
    np.testing.assert_allclose(ours.predict_proba(query), oracle.predict_proba(query), rtol=1e-9)
