"""A quick look at use: a linear classifier from synthetic to real cells, and the other way.

The answer that counts comes from the tuned classifiers of the ratio sweep; this one is cheap, sits
beside the other metrics, and has their floor and controls.

References
----------
Esteban et al. (2017), Real-valued (medical) time series generation with recurrent conditional GANs
(train on synthetic, test on real, and the reverse).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bloomdiff.metrics.base import Score, metric
from bloomdiff.metrics.bootstrap import Doubles, Singles
from bloomdiff.metrics.classification import macro_f1

if TYPE_CHECKING:
    from bloomdiff.metrics.set_comparison import SetComparison

Labels = npt.NDArray[np.str_]
_AT_MOST = 5000  # rows fitted on


def _transfer(
    X: Doubles,
    y: Labels,
    judged: Doubles,
    truth: Labels,
    counts: Singles,
    rng: np.random.Generator,
) -> Score:
    """Macro-F1 on `judged` of a classifier fitted on `X`, or on a part of it where it is large."""
    from sklearn.linear_model import RidgeClassifierCV

    rows = np.sort(rng.choice(len(X), size=min(len(X), _AT_MOST), replace=False))
    names, codes = np.unique(np.concatenate([truth, y[rows]]), return_inverse=True)
    true, fitted = codes[: len(truth)], codes[len(truth) :]
    if len(np.unique(fitted)) < 2:
        return Score(float("nan"), note="too few: needs 2 classes, has 1")
    model = RidgeClassifierCV(alphas=np.logspace(0, 5, 11), class_weight="balanced")
    model.fit(X[rows], fitted)
    predicted = model.predict(judged)
    value = macro_f1(true, predicted, len(names))
    if np.isnan(counts).any():
        return Score(value)
    draws = []
    for count in counts.T:
        drawn = np.repeat(np.arange(len(true)), count.astype(np.intp))
        draws.append(macro_f1(true[drawn], predicted[drawn], len(names)))
    return Score(value, np.array(draws))


@metric(
    "train_synthetic_test_real",
    "Macro-F1, trained on synthetic, tested on held-out rows",
    better="higher",
    family="conditional",
    minimum=20,
    checks={"wrong_labels": "worse", "copycat": "not_better", "class_gaussian": "not_better"},
)
def _train_synthetic_test_real(comparison: SetComparison) -> Score:
    """The floor is the same classifier trained on as many real rows."""
    reference = comparison.reference
    if comparison.y is None or reference.y_test is None:
        return Score(float("nan"), note="needs labels")
    return _transfer(
        comparison.synthetic,
        comparison.y,
        reference.test,
        reference.y_test,
        reference.test_counts,
        reference.rng(30),
    )


@metric(
    "train_real_test_synthetic",
    "Macro-F1, trained on training rows, tested on synthetic ones",
    better="higher",
    family="conditional",
    minimum=20,
    unseen_floor=True,
    checks={"wrong_labels": "worse"},
)
def _train_real_test_synthetic(comparison: SetComparison) -> Score:
    """The floor is the held-out rows; above it the generator draws easy or training cells."""
    reference = comparison.reference
    if comparison.y is None or reference.y_train is None:
        return Score(float("nan"), note="needs labels")
    return _transfer(
        reference.train,
        reference.y_train,
        comparison.synthetic,
        comparison.y,
        comparison.counts,
        reference.rng(31),
    )
