"""Temperature scaling inside a training fold: learned from its own cells, never from test cells.

The classifier is trained on one side of grouped inner folds and read on the other. Where it learns
from synthetic rows, the generator is fitted anew on that inner side: rows of the outer generator
were drawn by something that has seen the cells on which confidence is about to be measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bloomdiff.classifiers import make_classifier
from bloomdiff.data.embedding_set import EmbeddingSet, SyntheticSet
from bloomdiff.experiments.inner import InnerFolds
from bloomdiff.experiments.ratios import (
    Allocation,
    class_counts,
    labels_wanted,
    largest_finite,
    ratio_name,
)
from bloomdiff.experiments.sweep import draw
from bloomdiff.generators import make_generator
from bloomdiff.generators.cell_images import CellImages
from bloomdiff.metrics.calibration import fit_temperature
from bloomdiff.metrics.classification import class_indices

Method = tuple[str, Mapping[str, Any]]


def fit_temperatures(
    train: EmbeddingSet,
    pool: EmbeddingSet,
    *,
    generator: Method | None,
    classifier: Method,
    ratios: Sequence[float],
    allocation: Allocation,
    n_splits: int,
    seed: int,
    device: str = "cpu",
    images: CellImages | None = None,
) -> pd.DataFrame:
    """One temperature per ratio, from out-of-fold probabilities of the training cells.

    Parameters
    ----------
    train, pool
        The outer fold's labelled training cells, and those without a label.
    generator, classifier
        Registry name and hyper-parameters; no generator is real cells only.
    ratios
        Synthetic rows per real row; `inf` is synthetic-only.
    allocation
        How the synthetic rows are shared among the classes.
    n_splits
        Inner folds; 0 or too few groups give no temperature.
    seed, device
        Of generator and classifier.
    images
        For a generator that needs them.

    Returns
    -------
    DataFrame
        `ratio` (spelled), `temperature` (NaN where there is none) and `n_validated` cells: those
        of classes that the classifier has learned. Where synthetic rows alone leave a class out,
        no temperature could make up for its probability of 0.
    """
    classes = sorted(set(train.label.tolist()))
    truth: dict[float, list[Any]] = {ratio: [] for ratio in ratios}
    proba: dict[float, list[Any]] = {ratio: [] for ratio in ratios}
    for fold in InnerFolds(train, pool, n_splits=n_splits, seed=seed):
        inner, held_out, unseen = fold.train, fold.held_out, fold.pool
        counts = class_counts(inner.label)
        rows = None
        if generator is not None:
            rows = _synthesize(generator, inner, unseen, ratios, allocation, seed, device, images)
        for ratio in ratios:
            extra = None
            if rows is not None:
                finite = ratio if math.isfinite(ratio) else largest_finite(ratios)
                if finite > 0 and not len(labels_wanted(inner.label, finite, allocation)):
                    continue  # less than a row beside so few cells
                extra = draw(rows, counts, ratio, allocation, seed=seed, ratios=ratios)
            real = inner if math.isfinite(ratio) else inner.take([])
            model = make_classifier(classifier[0], dict(classifier[1]), seed=seed, device=device)
            model.fit(
                real.X,
                real.label,
                fingerprint=inner.fingerprint,
                synthetic=extra,
                classes=classes,
                pool=unseen,
                whitening=fold.whitening,
            )
            learned = {*real.label.tolist(), *(extra.label.tolist() if extra is not None else ())}
            judged = held_out.take(np.isin(held_out.label, sorted(learned)))
            if len(judged):
                truth[ratio].append(class_indices(judged.label, classes))
                proba[ratio].append(model.predict_on(judged))
    records = []
    for ratio in ratios:
        n = sum(map(len, truth[ratio]))
        temperature = math.nan
        if n:
            temperature = fit_temperature(
                np.concatenate(truth[ratio]), np.concatenate(proba[ratio])
            )
        records.append((ratio_name(ratio), temperature, n))
    return pd.DataFrame(records, columns=["ratio", "temperature", "n_validated"])


def _synthesize(
    generator: Method,
    inner: EmbeddingSet,
    unseen: EmbeddingSet,
    ratios: Sequence[float],
    allocation: Allocation,
    seed: int,
    device: str,
    images: CellImages | None,
) -> SyntheticSet:
    """Rows for the largest ratio of a generator that never saw the held-out cells' groups."""
    name, values = generator
    model = make_generator(name, dict(values), seed=seed, device=device, images=images)
    wanted = labels_wanted(inner.label, largest_finite(ratios), allocation)
    return model.fit_cells(inner, unseen).synthesize(wanted, seed=seed)
