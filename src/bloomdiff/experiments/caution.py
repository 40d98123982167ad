"""What a protocol with a known fault would claim: the one door through which rows leak on purpose.

CytoDiff's published preparation [1]_ fits its generator on real images, lists those same images and
the synthetic ones in one table, and only then divides the table at random, stratified by class.
Three faults follow from it, one after another, each of which is scored here on its own:

``fitted_before_split``
    The generator saw the cells under test; all else is as in the honest protocol.
``divided_after_mixing``
    Besides, real and synthetic rows are divided together and at random, so that cells of one slide
    stand on both sides, and so do synthetic rows and the cells that they came from. Scored on the
    real rows of the test part.
``tested_on_mixture``
    Besides, the synthetic rows of the test part are scored as well: what the protocol claims.

Everything here carries its true fingerprint, so that the leak guard refuses it anywhere else. The
rows, generators and classifiers stay in this module: what leaves it is a `Claim`, whose number is
called `claimed` and never a score.

References
----------
.. [1] https://github.com/JanCarreras24/CytoDiff, commit 22267c3, classification/generar_csv_mix.py
   and classification/kfold_splits.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bloomdiff.classifiers import Classifier, make_classifier
from bloomdiff.data.embedding_set import EmbeddingSet, Floats, Labels, SyntheticSet
from bloomdiff.data.view_whitening import ViewWhitening
from bloomdiff.experiments.ratios import Allocation, labels_wanted
from bloomdiff.generators.base import Generator
from bloomdiff.metrics.classification import class_indices, macro_f1

STEPS = ("fitted_before_split", "divided_after_mixing", "tested_on_mixture")
COLUMNS = ("step", "seed", "claimed", "n_train", "n_test", "n_test_synthetic")


@dataclass(frozen=True)
class Claim:
    """What the protocol would claim after one more fault.

    Attributes
    ----------
    step
        One of `STEPS`.
    seed
        Of the synthetic rows, of the classifier, and of the division.
    claimed
        Macro-F1 as the protocol counts it, a share.
    n_train, n_test
        Rows trained on and rows counted, synthetic ones among them.
    n_test_synthetic
        Synthetic rows among those counted.
    """

    step: str
    seed: int
    claimed: float
    n_train: int
    n_test: int
    n_test_synthetic: int


def leaking_claims(
    train: EmbeddingSet,
    test: EmbeddingSet,
    pool: EmbeddingSet,
    generator: Generator,
    *,
    number: int,
    ratio: float,
    seeds: Sequence[int],
    allocation: Allocation,
    classifier: tuple[str, Mapping[str, Any]],
    device: str = "cpu",
) -> Iterator[Claim]:
    """Fit a generator on the training *and* test cells of one outer fold, and claim what follows.

    Parameters
    ----------
    train, test, pool
        The outer fold, as the honest protocol has it.
    generator
        Not fitted; with the hyper-parameters and the seed of the honest one.
    number
        Which of the outer folds this is, from 0: the mixture's part of that number is tested.
    ratio
        Synthetic rows per real row, finite and above 0.
    seeds
        Those of the honest protocol.
    allocation
        How the synthetic rows are shared among the classes.
    classifier
        Name and hyper-parameters.
    device
        "cpu", "cuda" or "auto".
    """
    real = EmbeddingSet.concatenate([train, test])
    # One order in all outer folds, so that they divide the same table.
    real = real.take(np.argsort(real.cell_id))
    generator.fit_cells(real, pool)
    classes = np.unique(real.label).tolist()
    # As many parts as the honest protocol's test parts would fill: equally many rows to learn from.
    n_parts = max(2, round(len(real) / len(test)))
    for seed in seeds:

        def fitted(rows: EmbeddingSet, extra: SyntheticSet, seed: int = seed) -> Classifier:
            model = make_classifier(classifier[0], dict(classifier[1]), seed=seed, device=device)
            return model.fit(
                rows.X,
                rows.label,
                fingerprint=rows.fingerprint,
                synthetic=extra,
                classes=classes,
                pool=pool,
                whitening=ViewWhitening.of(rows, pool),
            )

        extra = generator.synthesize(labels_wanted(train.label, ratio, allocation), seed=seed)
        claimed = _claim(fitted(train, extra), test.X, test.label)
        yield Claim(STEPS[0], seed, claimed, len(train) + len(extra), len(test), 0)

        extra = generator.synthesize(labels_wanted(real.label, ratio, allocation), seed=seed)
        kept, tested = _divide(np.concatenate([real.label, extra.label]), n_parts, number, seed)
        is_real = tested < len(real)
        model = fitted(
            real.take(kept[kept < len(real)]), extra.take(kept[kept >= len(real)] - len(real))
        )
        X = np.concatenate([real.X, extra.X])[tested]
        y = np.concatenate([real.label, extra.label])[tested]
        claimed = _claim(model, X[is_real], y[is_real])
        yield Claim(STEPS[1], seed, claimed, len(kept), int(is_real.sum()), 0)
        n_synthetic = int((~is_real).sum())
        yield Claim(STEPS[2], seed, _claim(model, X, y), len(kept), len(tested), n_synthetic)


def _divide(
    label: Labels, n_parts: int, number: int, seed: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows trained on and tested, where the mixture is divided with no regard to groups."""
    from sklearn.model_selection import StratifiedKFold

    repeat, part = divmod(number, n_parts)
    shuffle = int(np.random.default_rng([seed, repeat]).integers(2**31))
    parts = StratifiedKFold(n_parts, shuffle=True, random_state=shuffle)
    kept, tested = list(parts.split(label, label))[part]
    return kept, tested


def _claim(model: Classifier, X: Floats, y: Labels) -> float:
    """Macro-F1 with no guard asked: `predict_proba` instead of `predict_on`."""
    predicted = model.predict_proba(X).argmax(axis=1)
    classes = model.classes_.tolist()
    return macro_f1(class_indices(y, classes), predicted, len(classes))
