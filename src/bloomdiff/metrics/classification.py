"""Scores of a classifier on real test cells, from its class probabilities.

Every function takes the *fixed* class list of the whole data set, so that folds that lack a rare
class stay comparable. Macro averages run over the classes with at least one test cell: a class
without test cells has no recall. A cell that is given to such a class still counts as missed by
its true class.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bloomdiff.errors import InputError
from bloomdiff.metrics.calibration import brier_score, expected_calibration_error

Floats = npt.NDArray[np.floating[Any]]
Indices = npt.NDArray[np.intp]
Labels = npt.NDArray[np.str_]


def class_indices(y: Labels | Sequence[str], classes: Sequence[str] | Labels) -> Indices:
    """Positions of the labels `y` `(n,)` in `classes`, intp `(n,)`.

    Raises
    ------
    InputError
        A label that is not in `classes`, or no labels at all.
    """
    names = np.asarray(classes, dtype=str).tolist()
    lookup = {name: index for index, name in enumerate(names)}
    labels = np.asarray(y, dtype=str)
    if labels.size == 0:
        raise InputError("test labels", "there are none", "give at least one test cell")
    unknown = [row for row, name in enumerate(labels.tolist()) if name not in lookup]
    if unknown:
        raise InputError(
            f"test row {unknown[0]}",
            f"label {str(labels[unknown[0]])!r} is not in the class list",
            f"use one of: {', '.join(names)}",
        )
    return np.array([lookup[name] for name in labels.tolist()], dtype=np.intp)


def check_probabilities(proba: Floats, n_rows: int, n_classes: int) -> npt.NDArray[np.float64]:
    """`proba` as float64 `(n, c)`; rows that are no distribution are an `InputError`."""
    checked: npt.NDArray[np.float64] = np.asarray(proba, dtype=np.float64)
    if checked.shape != (n_rows, n_classes):
        raise ValueError(f"proba must be ({n_rows}, {n_classes}), however: {checked.shape}")
    wrong = ~np.isfinite(checked).all(axis=1)
    wrong |= (checked < 0).any(axis=1) | (np.abs(checked.sum(axis=1) - 1) > 1e-3)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"probabilities of test row {row}",
            "are no distribution",
            "give finite values of at least 0 whose sum is 1",
        )
    return checked


def confusion_matrix(y_true: Indices, y_pred: Indices, n_classes: int) -> npt.NDArray[np.int64]:
    """Counts int64 `(c, c)`; row: true class, column: predicted class."""
    flat = np.bincount(y_true * n_classes + y_pred, minlength=n_classes**2)
    return flat.reshape(n_classes, n_classes).astype(np.int64)


def _recall_precision_f1(
    confusion: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Per class; NaN recall and F1 without test cells, NaN precision without predictions."""
    hits = np.diag(confusion).astype(np.float64)
    support, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = np.where(support > 0, hits / support, np.nan)
        precision = np.where(predicted > 0, hits / predicted, np.nan)
        f1 = np.where(support > 0, 2 * hits / (support + predicted), np.nan)
    return recall, precision, f1


def macro_f1(y_true: Indices, y_pred: Indices, n_classes: int) -> float:
    """Mean F1 over the classes with at least one test cell (see the module's text)."""
    return float(np.nanmean(_recall_precision_f1(confusion_matrix(y_true, y_pred, n_classes))[2]))


def balanced_accuracy(y_true: Indices, y_pred: Indices, n_classes: int) -> float:
    """Mean recall over the classes with at least one test cell."""
    return float(np.nanmean(_recall_precision_f1(confusion_matrix(y_true, y_pred, n_classes))[0]))


def _ranking_scores(
    y_true: Indices, proba: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """One-vs-rest AUROC and AUPRC per class, NaN where a class has no or only test cells.

    One sort a class serves both: a sweep scores thousands of tables, and scikit-learn's checks of
    its arguments would take most of that time.
    """
    n_classes = proba.shape[1]
    auroc, auprc = np.full(n_classes, np.nan), np.full(n_classes, np.nan)
    for index in range(n_classes):
        positive = y_true == index
        if not positive.any() or positive.all():
            continue
        order = np.argsort(-proba[:, index], kind="stable")
        # Equal probabilities are one threshold: count what lies above or at each distinct one.
        last = np.append(np.flatnonzero(np.diff(proba[order, index])), len(order) - 1)
        hits = np.cumsum(positive[order])[last].astype(np.float64)
        recall, precision = hits / hits[-1], hits / (last + 1)
        false_alarms = (last + 1 - hits) / (len(order) - hits[-1])
        auroc[index] = np.trapezoid(np.append(0, recall), np.append(0, false_alarms))
        auprc[index] = (np.diff(recall, prepend=0) * precision).sum()
    return auroc, auprc


def _mean_or_nan(values: npt.NDArray[np.float64]) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")


def score_classification(
    y_true: Labels | Sequence[str], proba: Floats, classes: Sequence[str] | Labels
) -> dict[str, float]:
    """Every summary score of one classifier on one test fold.

    Parameters
    ----------
    y_true
        Class names `(n,)`.
    proba
        Probabilities `(n, c)`, columns in the order of `classes`.
    classes
        The fixed class list `(c,)`.

    Returns
    -------
    dict
        `macro_f1`, `balanced_accuracy`, `accuracy`, `top2_accuracy`, `auroc` and `auprc`
        (one-vs-rest, macro), `cohen_kappa`, `mcc`, `ece` (15 bins of equal width), `brier` (sum
        over classes, 0 to 2), `log_loss` (nats), `n`, `n_classes_scored`. A score that the fold
        does not define (AUROC with one class) is NaN.

    Raises
    ------
    InputError
        An unknown label, or a row of `proba` that is no distribution.

    References
    ----------
    Guo et al. (2017), On calibration of modern neural networks (expected calibration error);
    Gorodkin (2004), Comparing two K-category assignments (the multi-class Matthews coefficient).
    """
    from sklearn.metrics import cohen_kappa_score, matthews_corrcoef

    n_classes = len(classes)
    truth = class_indices(y_true, classes)
    proba = check_probabilities(proba, len(truth), n_classes)
    predicted = proba.argmax(axis=1)
    recall, _, f1 = _recall_precision_f1(confusion_matrix(truth, predicted, n_classes))
    auroc, auprc = _ranking_scores(truth, proba)
    # A stable sort of the negated rows ranks equal probabilities by class order, as argmax does.
    top2 = np.argsort(-proba, axis=1, kind="stable")[:, :2]
    single = len(np.union1d(truth, predicted)) == 1
    chosen = np.clip(proba[np.arange(len(truth)), truth], 1e-12, None)
    return {
        "macro_f1": float(np.nanmean(f1)),
        "balanced_accuracy": float(np.nanmean(recall)),
        "accuracy": float((predicted == truth).mean()),
        "top2_accuracy": float((top2 == truth[:, None]).any(axis=1).mean()),
        "auroc": _mean_or_nan(auroc),
        "auprc": _mean_or_nan(auprc),
        "cohen_kappa": float("nan") if single else float(cohen_kappa_score(truth, predicted)),
        "mcc": float("nan") if single else float(matthews_corrcoef(truth, predicted)),
        "ece": expected_calibration_error(truth, proba),
        "brier": brier_score(truth, proba),
        "log_loss": float(-np.log(chosen).mean()),
        "n": float(len(truth)),
        "n_classes_scored": float(np.isfinite(f1).sum()),
    }


def per_class_table(
    y_true: Labels | Sequence[str], proba: Floats, classes: Sequence[str] | Labels
) -> list[dict[str, str | int | float]]:
    """One record a class, in the order of `classes`.

    Returns
    -------
    list of dict
        `class`, `support` (test cells), `predicted` (cells given to it), `f1`, `recall`,
        `precision`, `auroc`, `auprc`; NaN where undefined.
    """
    truth = class_indices(y_true, classes)
    proba = check_probabilities(proba, len(truth), len(classes))
    confusion = confusion_matrix(truth, proba.argmax(axis=1), len(classes))
    recall, precision, f1 = _recall_precision_f1(confusion)
    auroc, auprc = _ranking_scores(truth, proba)
    return [
        {
            "class": str(name),
            "support": int(confusion[index].sum()),
            "predicted": int(confusion[:, index].sum()),
            "f1": float(f1[index]),
            "recall": float(recall[index]),
            "precision": float(precision[index]),
            "auroc": float(auroc[index]),
            "auprc": float(auprc[index]),
        }
        for index, name in enumerate(classes)
    ]
