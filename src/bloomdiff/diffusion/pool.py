"""Labels for an unlabelled pool: a classifier and a generator that teach each other in rounds.

The classifier labels the pool softly; the class prior fitted on labelled and pool rows then has
better centres and a better spread than the labelled rows alone give; its samples, added to the
labelled rows, make a better classifier. Diffusion on pseudo-labels is due to You et al. 2023
(arXiv:2302.10586); soft labels and a prior that is re-estimated guard against confirming the first
classifier's mistakes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bloomdiff.diffusion.prior import ClassPrior
from bloomdiff.diffusion.whitening import Doubles, Floats, Index

C_INVERSE_PENALTY = 0.01
"""Of the logistic regression on z-scored rows: strong, as there are more dimensions than rows."""
SAMPLES_PER_ROW = 3
"""Rows sampled per labelled row, shared evenly among the classes."""
NEGLIGIBLE = 0.01
"""Count below which a pool row is not counted for a class."""


def pseudo_labels(
    X: Floats, y: Index, pool: Floats, *, rounds: int, trust: float, seed: int
) -> Doubles:
    """How many labelled rows of each class every pool row counts for, float64 `(m, c)`.

    Parameters
    ----------
    X, y
        Labelled rows `(n, d)` and their class indices `(n,)`, every class present.
    pool
        Rows without labels `(m, d)`.
    rounds
        Rounds of labelling and sampling, at least 1.
    trust
        What a pool row of certain label counts for, in [0, 1]; one of uncertain label counts for
        less, by the probability of its likeliest class.
    seed
        Seed of the samples.
    """
    rng = np.random.default_rng(seed)
    n_classes = int(y.max()) + 1
    per_class = max(1, round(SAMPLES_PER_ROW * len(y) / n_classes))
    classifier = _Classifier(X, y)
    for i in range(rounds):
        p = _match_frequencies(classifier.predict_proba(pool))
        counts_for = trust * p.max(axis=1, keepdims=True) * p
        if i + 1 < rounds:
            rows, labels, weight = join(X, y, pool, counts_for)
            prior = ClassPrior.fit(rows, labels, weight=weight)
            sampled = [_draw(prior, index, per_class, rng) for index in range(n_classes)]
            classifier = _Classifier(
                np.concatenate([X, *sampled]),
                np.concatenate([y, np.repeat(np.arange(n_classes), per_class)]),
            )
    return counts_for


def join(X: Floats, y: Index, pool: Floats, counts_for: Doubles) -> tuple[Floats, Index, Doubles]:
    """Labelled rows, then a pool row for each class it may belong to, as one weighted set.

    Returns
    -------
    Rows `(n + p, d)`, class indices and weights `(n + p,)`.
    """
    row, label = np.nonzero(counts_for > NEGLIGIBLE)
    return (
        np.concatenate([X, pool[row]]),
        np.concatenate([y, label]),
        np.concatenate([np.ones(len(y)), counts_for[row, label]]),
    )


def _draw(prior: ClassPrior, index: int, n: int, rng: np.random.Generator) -> Floats:
    Z, noise = rng.standard_normal((2, n, prior.whitening.dim), dtype=np.float32)
    return prior.place(Z, index, noise)


class _Classifier:
    """Class-balanced logistic regression on z-scored rows."""

    def __init__(self, X: Floats, y: Index) -> None:
        from sklearn.linear_model import LogisticRegression

        self.mean, self.deviation = X.mean(axis=0), X.std(axis=0) + 1e-6
        self.model: Any = LogisticRegression(
            C=C_INVERSE_PENALTY, class_weight="balanced", max_iter=300, tol=1e-3
        )
        self.model.fit((X - self.mean) / self.deviation, y)

    def predict_proba(self, X: Floats) -> Doubles:
        """Probabilities under equal class frequencies, float64 `(n, c)`."""
        return self.model.predict_proba((X - self.mean) / self.deviation).astype(np.float64)


def _match_frequencies(p: Doubles, n_iterations: int = 50) -> Doubles:
    """Adjust probabilities under equal frequencies to those of the pool itself, `(m, c)`.

    Expectation maximisation of Saerens et al. 2002 (doi:10.1162/089976602753284446), with one row
    a class added so that no class vanishes.
    """
    frequency = np.full(p.shape[1], 1 / p.shape[1])
    for _ in range(n_iterations):
        adjusted = p * frequency
        adjusted /= adjusted.sum(axis=1, keepdims=True)
        frequency = (adjusted.sum(axis=0) + 1) / (len(p) + p.shape[1])
    return adjusted
