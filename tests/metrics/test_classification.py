import numpy as np
import pytest
from sklearn import metrics as sk

from bloomdiff.errors import InputError
from bloomdiff.metrics.classification import (
    balanced_accuracy,
    class_indices,
    confusion_matrix,
    macro_f1,
    per_class_table,
    score_classification,
)

CLASSES = ["BAS", "EOS", "LYT", "MON", "NGS"]


def make(n: int = 200, seed: int = 0, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=n)
    proba = rng.dirichlet(np.ones(5), size=n)
    proba[np.arange(n), truth] += 0.5
    return np.array(CLASSES)[truth], proba / proba.sum(axis=1, keepdims=True)


def test_scores_agree_with_scikit_learn() -> None:
    y, proba = make()
    truth = class_indices(y, CLASSES)
    predicted = proba.argmax(axis=1)
    scores = score_classification(y, proba, CLASSES)
    expected = {
        "macro_f1": sk.f1_score(truth, predicted, average="macro"),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, predicted),
        "accuracy": sk.accuracy_score(truth, predicted),
        "top2_accuracy": sk.top_k_accuracy_score(truth, proba, k=2),
        "auroc": sk.roc_auc_score(truth, proba, multi_class="ovr", average="macro"),
        "auprc": sk.average_precision_score(np.eye(5)[truth], proba, average="macro"),
        "cohen_kappa": sk.cohen_kappa_score(truth, predicted),
        "mcc": sk.matthews_corrcoef(truth, predicted),
        "brier": sk.brier_score_loss(truth, proba, scale_by_half=False),
        "log_loss": sk.log_loss(truth, proba),
        "n": 200,
        "n_classes_scored": 5,
    }
    for name, value in expected.items():
        assert scores[name] == pytest.approx(value, rel=1e-9), name
    assert (confusion_matrix(truth, predicted, 5) == sk.confusion_matrix(truth, predicted)).all()


def test_table_agrees_with_scikit_learn() -> None:
    y, proba = make(seed=1)
    predicted = np.array(CLASSES)[proba.argmax(axis=1)]
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        y, predicted, labels=CLASSES
    )
    table = per_class_table(y, proba, CLASSES)
    assert [record["class"] for record in table] == CLASSES
    np.testing.assert_allclose([r["f1"] for r in table], f1)
    np.testing.assert_allclose([r["recall"] for r in table], recall)
    np.testing.assert_allclose([r["precision"] for r in table], precision)
    assert [r["support"] for r in table] == support.tolist()


def test_a_class_without_test_cells_is_left_out_of_the_mean() -> None:
    y, proba = make(classes=4)
    truth, predicted = class_indices(y, CLASSES), proba.argmax(axis=1)
    scores = score_classification(y, proba, CLASSES)
    assert scores["n_classes_scored"] == 4
    present = sk.f1_score(truth, predicted, labels=[0, 1, 2, 3], average="macro")
    assert scores["macro_f1"] == pytest.approx(present)
    assert np.isfinite(scores["auroc"])
    assert np.isnan(per_class_table(y, proba, CLASSES)[4]["recall"])


def test_one_class_only_leaves_rankings_undefined() -> None:
    proba = np.tile([0.9, 0.1, 0, 0, 0], (3, 1))
    scores = score_classification(["BAS"] * 3, proba, CLASSES)
    assert scores["macro_f1"] == 1
    assert np.isnan(scores["auroc"])
    assert np.isnan(scores["cohen_kappa"])


def test_perfect_and_useless_predictions_score_one_and_zero() -> None:
    truth = np.array([0, 1, 2, 2])
    assert macro_f1(truth, truth, 3) == 1
    assert macro_f1(truth, np.array([1, 2, 0, 1]), 3) == 0
    assert balanced_accuracy(truth, np.array([0, 1, 2, 0]), 3) == pytest.approx((1 + 1 + 0.5) / 3)


@pytest.mark.parametrize(
    ("labels", "proba", "match"),
    [
        (["BAS", "XXX"], np.full((2, 5), 0.2), "test row 1: label 'XXX' is not in the class list"),
        (["BAS", "EOS"], np.array([[0.2] * 5, [np.nan] * 5]), "test row 1: are no distribution"),
        (["BAS"], np.full((1, 5), 0.5), "test row 0: are no distribution"),
        ([], np.empty((0, 5)), "test labels: there are none"),
    ],
)
def test_bad_input_names_the_row(labels: list[str], proba: np.ndarray, match: str) -> None:
    with pytest.raises(InputError, match=match):
        score_classification(labels, proba, CLASSES)


@pytest.mark.parametrize("decimals", [0, 1, 6])
def test_ranking_scores_with_equal_probabilities(decimals):
    rng = np.random.default_rng(decimals)
    truth = rng.integers(3, size=60)
    proba = rng.dirichlet(np.ones(3), size=60)
    first = np.round(proba[:, 0], decimals) * 0.9
    proba = np.column_stack([first, (1 - first) / 2, (1 - first) / 2])
    table = per_class_table([CLASSES[i] for i in truth], proba, CLASSES[:3])
    for index, row in enumerate(table):
        expected = sk.roc_auc_score(truth == index, proba[:, index])
        assert row["auroc"] == pytest.approx(expected, abs=1e-12)
        expected = sk.average_precision_score(truth == index, proba[:, index])
        assert row["auprc"] == pytest.approx(expected, abs=1e-12)


def test_classes_may_be_numbers() -> None:
    scores = score_classification([0, 1, 1], np.eye(2)[[0, 1, 0]], [0, 1])
    assert scores["accuracy"] == pytest.approx(2 / 3)
    with pytest.raises(InputError, match="use one of: 0, 1"):
        score_classification([0, 7, 1], np.eye(2)[[0, 1, 0]], [0, 1])
