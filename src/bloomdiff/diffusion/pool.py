"""Labels for an unlabelled pool: expectation maximisation of the class prior.

The prior fitted on the labelled rows labels the pool softly; fitted again on labelled and pool
rows together it has better centres and a better spread, and labels the pool better. Diffusion on
pseudo-labels is due to You et al. 2023 (arXiv:2302.10586), expectation maximisation with labelled
and down-weighted unlabelled rows to Nigam et al. 2000 (doi:10.1023/A:1007692713085).
"""

from __future__ import annotations

import numpy as np

from bloomdiff.diffusion.prior import ClassPrior
from bloomdiff.diffusion.whitening import Doubles, Floats, Index

TEMPERATURE = 2.0
"""Divides the log-likelihoods: the spread along the directions in which the classes were found to
differ is underestimated, since it is those directions that the same few rows chose."""
NEGLIGIBLE = 0.001
"""Count below which a pool row is not counted for a class."""


def pseudo_labels(
    X: Floats,
    y: Index,
    pool: Floats,
    *,
    rounds: int,
    trust: float,
    shrinkage: float | None = None,
) -> Doubles:
    """How many labelled rows of each class every pool row counts for, float64 `(m, c)`.

    Parameters
    ----------
    X, y
        Labelled rows `(n, d)` and their class indices `(n,)`, every class present.
    pool
        Rows without labels `(m, d)`.
    rounds
        Rounds of fitting and labelling, at least 1.
    trust
        What a pool row of certain label counts for, in [0, 1]; one of uncertain label counts for
        less, by the probability of its likeliest class.
    shrinkage
        Of the covariance, as for `residual_covariance`.
    """
    rows, labels, weight = X, y, np.ones(len(y))
    for _ in range(rounds):
        prior = ClassPrior.fit(rows, labels, weight=weight, shrinkage=shrinkage)
        p = prior.posterior(pool, temperature=TEMPERATURE)
        counts_for = trust * p.max(axis=1, keepdims=True) * p
        rows, labels, weight = join(X, y, pool, counts_for)
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
