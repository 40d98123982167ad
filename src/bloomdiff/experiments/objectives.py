"""What a study maximises: macro-F1 on inner validation rows, of the outer training part alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bloomdiff.classifiers import CLASSIFIERS, make_classifier
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.folds import inner_folds
from bloomdiff.experiments.ratios import Allocation, allocate
from bloomdiff.experiments.studies import report
from bloomdiff.generators import GENERATORS, make_generator
from bloomdiff.metrics.classification import score_classification

Objective = Callable[[Any], float]
Values = Mapping[str, Any]


def generator_objective(
    name: str,
    base: Values,
    train: EmbeddingSet,
    pool: EmbeddingSet,
    *,
    classifier: tuple[str, Values],
    ratio: float,
    allocation: Allocation,
    n_splits: int,
    seed: int,
    device: str,
) -> Objective:
    """Usefulness of a generator at one ratio, mean over the inner folds.

    The trial reports the running mean after each inner fold, so that a median pruner can stop it.
    Hyper-parameters that the search space leaves alone keep their `base` value.
    """

    def objective(trial: Any) -> float:
        values = {**base, **GENERATORS[name].search_space(trial)}
        scores: list[float] = []
        for step, (fit, validate) in enumerate(inner_folds(train, n_splits, seed)):
            inner, held_out = train.take(fit), train.take(validate)
            # What a subsample set aside may share a slide with the cells that validate.
            unseen = pool.take(~np.isin(pool.group, held_out.group))
            generator = make_generator(name, values, seed=seed, device=device)
            generator.fit(
                inner.X,
                inner.label,
                fingerprint=inner.fingerprint | unseen.fingerprint,
                X_unlabelled=unseen.X if len(unseen) else None,
            )
            labels = inner.label.tolist()
            shares = allocate({c: labels.count(c) for c in sorted(set(labels))}, ratio, allocation)
            asked = np.repeat(np.array(list(shares)), list(shares.values()))
            synthetic = generator.synthesize(asked, seed=seed)
            scores.append(_validate(classifier, inner, held_out, synthetic, seed, device))
            report(trial, float(np.mean(scores)), step)
        return float(np.mean(scores))

    return objective


def classifier_objective(
    name: str, base: Values, train: EmbeddingSet, *, n_splits: int, seed: int, device: str
) -> Objective:
    """Macro-F1 of a classifier on real rows alone, mean over the inner folds."""

    def objective(trial: Any) -> float:
        values = {**base, **CLASSIFIERS[name].search_space(trial)}
        scores: list[float] = []
        for step, (fit, validate) in enumerate(inner_folds(train, n_splits, seed)):
            inner, held_out = train.take(fit), train.take(validate)
            scores.append(_validate((name, values), inner, held_out, None, seed, device))
            report(trial, float(np.mean(scores)), step)
        return float(np.mean(scores))

    return objective


def _validate(
    classifier: tuple[str, Values],
    inner: EmbeddingSet,
    held_out: EmbeddingSet,
    synthetic: Any,
    seed: int,
    device: str,
) -> float:
    name, values = classifier
    model = make_classifier(name, dict(values), seed=seed, device=device)
    classes = sorted({*inner.label.tolist(), *held_out.label.tolist()})
    model.fit(
        inner.X, inner.label, fingerprint=inner.fingerprint, synthetic=synthetic, classes=classes
    )
    proba = model.predict_on(held_out)
    return score_classification(held_out.label, proba, model.classes_)["macro_f1"]


def is_tunable(kind: type) -> bool:
    """Whether a generator or classifier has hyper-parameters to search."""
    from bloomdiff.generators.base import Generator

    return getattr(kind, "search_space", None) is not Generator.search_space
