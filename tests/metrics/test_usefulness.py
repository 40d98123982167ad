import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifierCV
from sklearn.metrics import f1_score

from bloomdiff.metrics import METRICS
from bloomdiff.metrics.reference import Reference
from bloomdiff.metrics.set_comparison import SetComparison

TO_REAL = METRICS["train_synthetic_test_real"].compute
TO_SYNTHETIC = METRICS["train_real_test_synthetic"].compute


@pytest.fixture(scope="module")
def fold() -> tuple[Reference, SetComparison, SetComparison]:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(4, 8)) * 1.2

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        y = rng.integers(4, size=n)
        return centres[y] + rng.normal(size=(n, 8)), np.array(list("abcd"))[y]

    (train, y_train), (test, y_test), (synthetic, y) = draw(400), draw(200), draw(300)
    reference = Reference.of(train, test, y_train=y_train, y_test=y_test, seed=0)
    honest = SetComparison.of(reference, synthetic, y)
    useless = SetComparison.of(reference, synthetic, rng.permutation(y))
    return reference, honest, useless


def test_both_ways_agree_with_scikit_learn(fold: tuple) -> None:
    reference, honest, _ = fold

    def oracle(X: np.ndarray, y: np.ndarray, judged: np.ndarray, truth: np.ndarray) -> float:
        model = RidgeClassifierCV(alphas=np.logspace(0, 5, 11), class_weight="balanced")
        return f1_score(truth, model.fit(X, y).predict(judged), average="macro")

    there = oracle(honest.synthetic, honest.y, reference.test, reference.y_test)
    back = oracle(reference.train, reference.y_train, honest.synthetic, honest.y)
    assert TO_REAL(honest).value == pytest.approx(there)
    assert TO_SYNTHETIC(honest).value == pytest.approx(back)
    assert there > 0.6


def test_shuffled_labels_are_useless_both_ways(fold: tuple) -> None:
    _, honest, useless = fold
    for compute in (TO_REAL, TO_SYNTHETIC):
        assert compute(useless).interval()[1] < compute(honest).interval()[0]


def test_one_class_teaches_nothing(fold: tuple) -> None:
    reference, honest, _ = fold
    single = SetComparison(reference, honest.synthetic, np.full(300, "a"))
    assert TO_REAL(single).note == "too few: needs 2 classes, has 1"
    assert np.isnan(TO_REAL(single).value)
    bare = SetComparison(reference, honest.synthetic, None)
    assert TO_REAL(bare).note == TO_SYNTHETIC(bare).note == "needs labels"
