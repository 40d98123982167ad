"""What a trial is worth."""

import numpy as np
import optuna
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from bloomdiff.classifiers import make_classifier
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.experiments.inner import InnerFolds
from bloomdiff.experiments.objectives import classifier_objective, generator_objective
from bloomdiff.experiments.ratios import labels_wanted
from bloomdiff.generators import make_generator


@pytest.fixture(scope="module")
def folds():
    rng = np.random.default_rng(0)
    label = rng.choice(["a", "b", "c"], 120, p=[0.7, 0.2, 0.1])
    X = rng.normal(size=(120, 6)) + 1.2 * np.eye(3, 6)[np.searchsorted(["a", "b", "c"], label)]
    ids = [f"c{i}" for i in range(120)]
    rows = pd.DataFrame(
        {"cell_id": ids, "label": label, "group": [f"g{i // 4}" for i in range(120)]}
    )
    cells = EmbeddingSet(X.astype(np.float32), rows)
    return InnerFolds(cells, cells.take([]), n_splits=3, seed=0)


def value(objective, **params):
    study = optuna.create_study(direction="maximize")
    study.enqueue_trial(params)
    study.optimize(objective, n_trials=1)
    return study.best_value


@pytest.mark.parametrize("generator", [None, "jitter"])
def test_a_trial_is_worth_the_macro_f1_of_held_out_cells(folds, generator):
    """Over the inner folds, by scikit-learn, learned from synthetic rows where there are any."""
    given, expected = {"seed": 3, "device": "cpu"}, []
    for fold in folds:
        extra = None
        if generator:
            made = make_generator(generator, {"scale": 2.0}, seed=3)
            made.fit_cells(fold.train, fold.pool)
            extra = made.synthesize(labels_wanted(fold.train.label, 4.0, "balance"), seed=3)
        model = make_classifier("logistic", {"C": 1.0}, seed=3)
        model.fit(
            fold.train.X, fold.train.label, fingerprint=fold.train.fingerprint, synthetic=extra
        )
        predicted = model.predict(fold.held_out.X)
        expected.append(f1_score(fold.held_out.label, predicted, average="macro"))
    if generator:
        objective = generator_objective(
            generator,
            {},
            folds,
            classifier=("logistic", {"C": 1.0}),
            ratio=4.0,
            allocation="balance",
            **given,
        )
        assert value(objective, scale=2.0) == pytest.approx(np.mean(expected))
    else:
        objective = classifier_objective("logistic", {}, folds, **given)
        assert value(objective, C=1.0) == pytest.approx(np.mean(expected))
