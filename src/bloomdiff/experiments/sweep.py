"""The ratio sweep on one fold: learn from real and synthetic rows, be judged on real cells only."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from bloomdiff.classifiers import Classifier, make_classifier
from bloomdiff.data.embedding_set import EmbeddingSet, SyntheticSet
from bloomdiff.data.fingerprint import assert_disjoint
from bloomdiff.data.view_whitening import ViewWhitening
from bloomdiff.errors import IntegrityError, LeakageError, ParameterError
from bloomdiff.experiments.ratios import Allocation, allocate, class_counts, largest_finite
from bloomdiff.metrics.classification import (
    class_indices,
    confusion_matrix,
    per_class_table,
    score_classification,
)


@dataclass(frozen=True)
class Scored:
    """One classifier at one ratio under one seed.

    Attributes
    ----------
    scores
        Metric name to value, over the test cells.
    per_class
        One row a class: support, F1, recall, precision.
    confusion
        Counts `(c, c)`, rows the true class, columns the predicted one.
    proba
        Class probabilities of the test cells `(t, c)`, columns as the classifier's `classes_`.
    """

    ratio: float
    seed: int
    classifier: Classifier
    n_synthetic: int
    scores: dict[str, float]
    per_class: pd.DataFrame
    confusion: npt.NDArray[np.int64]
    proba: npt.NDArray[np.float64]


def draw(
    synthetic: SyntheticSet,
    real_counts: Mapping[str, int],
    ratio: float,
    allocation: Allocation,
    *,
    seed: int,
    ratios: Sequence[float],
) -> SyntheticSet:
    """Take the rows of one ratio and seed: of each class, the first that the allocation asks for.

    `inf` takes what the largest finite of `ratios` takes.

    Raises
    ------
    ParameterError
        The ratio comes to no row: its scores would be those of real cells only by another name.
    IntegrityError
        The set holds too few rows of a class with this seed.
    """
    finite = ratio if math.isfinite(ratio) else largest_finite(ratios)
    shares = allocate(real_counts, finite, allocation)
    if finite > 0 and not any(shares.values()):
        n_real = sum(real_counts.values())
        raise ParameterError(
            "sweep.ratios",
            f"{finite:g} is less than one synthetic row beside {n_real} real cells",
            f"name ratios of {math.ceil(1000 / n_real) / 1000:g} and more, or 0",
        )
    of_seed = synthetic.rows["seed"].to_numpy() == seed
    label = synthetic.label
    picks = []
    for name, n in shares.items():
        rows = np.flatnonzero(of_seed & (label == name))[:n]
        if len(rows) < n:
            raise IntegrityError(
                "the synthetic set",
                f"has {len(rows)} rows of {name!r} with seed {seed}, not {n}: it was made with "
                "other seeds, ratios or shares",
                "run `dvc repro synthesize`",
            )
        picks.append(rows)
    return synthetic.take(np.concatenate(picks))


def sweep_fold(
    train: EmbeddingSet,
    test: EmbeddingSet,
    synthetic: SyntheticSet | None,
    *,
    ratios: Sequence[float],
    seeds: Sequence[int],
    allocation: Allocation,
    classifiers: Mapping[str, Mapping[str, object]],
    pool: EmbeddingSet | None = None,
    device: str = "cpu",
) -> Iterator[Scored]:
    """Score every ratio, seed and classifier on one fold.

    Parameters
    ----------
    train, test
        Labelled real cells, no group in both.
    synthetic
        Rows of one generator fitted on `train`, all seeds; None runs ratio 0 alone.
    ratios
        Synthetic rows per real row; `inf` is synthetic-only. Ratio 0 is skipped where
        `synthetic` is given: it is the same for every generator.
    seeds
        Seeds of the synthetic draws and of the classifiers.
    allocation
        How the synthetic rows are shared among the classes.
    classifiers
        Name to hyper-parameters.
    pool
        Cells without a label, for the classifiers that learn from them.
    device
        "cpu", "cuda" or "auto".

    Raises
    ------
    LeakageError
        A test group was fitted on, or the test rows are not real cells.
    """
    if not isinstance(test, EmbeddingSet):
        raise LeakageError("the test rows", "are not real cells", "test on an EmbeddingSet")
    assert_disjoint(test.group, train.fingerprint, what="the training part")
    if pool is not None:
        assert_disjoint(test.group, pool.fingerprint, what="the pool")
    classes = sorted({*train.label.tolist(), *test.label.tolist()})
    counts = class_counts(train.label)
    whitening = ViewWhitening.of(train, pool)
    if synthetic is not None:
        assert_disjoint(test.group, synthetic, what="the generator of the synthetic rows")
    for ratio in ratios:
        if (ratio == 0) == (synthetic is not None):
            continue
        real = train if math.isfinite(ratio) else train.take([])
        for seed in seeds:
            extra = None
            if synthetic is not None:
                extra = draw(synthetic, counts, ratio, allocation, seed=seed, ratios=ratios)
            for name, params in classifiers.items():
                model = make_classifier(name, dict(params), seed=seed, device=device)
                model.fit(
                    real.X,
                    real.label,
                    fingerprint=train.fingerprint,
                    synthetic=extra,
                    classes=classes,
                    pool=pool,
                    whitening=whitening,
                )
                yield _score(model, test, ratio, seed, len(extra) if extra is not None else 0)


def _score(
    model: Classifier, test: EmbeddingSet, ratio: float, seed: int, n_synthetic: int
) -> Scored:
    proba = model.predict_on(test)
    classes = model.classes_.tolist()
    truth = class_indices(test.label, classes)
    return Scored(
        ratio,
        seed,
        model,
        n_synthetic,
        score_classification(test.label, proba, classes),
        pd.DataFrame(per_class_table(test.label, proba, classes)),
        confusion_matrix(truth, proba.argmax(axis=1), len(classes)),
        proba,
    )
