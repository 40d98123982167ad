"""How far the class prior's log-likelihoods are to be trusted, as seen on rows held out.

The directions in which the classes differ are found with the same few rows that the classes' means
come from, so that rows left out lie nearer to one another than the model expects: its Bayes rule
is right about the class more often than about how sure it is. One divisor of the log-likelihoods
mends most of that (Guo et al. 2017, arXiv:1706.04599).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from scipy.special import log_softmax

from bloomdiff.diffusion.copies import first_alike
from bloomdiff.diffusion.prior import ClassPrior
from bloomdiff.diffusion.whitening import Doubles, Floats, Index

FOLDS = 3
TEMPERATURES = np.geomspace(0.25, 128, 37)
# Where nothing can be held out, one label a class: the best of the powers of two on the cells on
# which the pool's method was chosen (blood of five types, a phantom), with and without a pool.
UNTESTED = 32.0
"""Temperature where no row can be held out."""


class Scorer(Protocol):
    """What gives log-likelihoods of the classes up to a constant of each row, `(n, c)`."""

    def scores(self, X: Floats, /) -> Doubles:
        """Log-likelihoods of rows `(n, d)`."""
        ...


def held_out_temperature(
    X: Floats, y: Index, learn: Callable[[Floats, Index], Scorer] = ClassPrior.fit
) -> float:
    """Divisor under which held-out rows get the least log loss, classes weighted alike.

    Copies of a row are held out together: what was learned with one is no news of the other.

    Parameters
    ----------
    X, y
        Rows `(n, d)` and their class indices `(n,)`, every class present.
    learn
        Learns from rows and class indices what the temperature is for, in the same way: with the
        same pool, say, without which it would know less and be believed less.

    Returns
    -------
    `UNTESTED` where no class has two rows that differ; one where there is a single class, or where
    held-out rows are told apart at any temperature.
    """
    count = np.bincount(y)
    if len(count) == 1:
        return 1.0
    alike = first_alike(X)
    held_out = np.full(len(y), -1)
    for c in range(len(count)):
        _, rank = np.unique(alike[y == c], return_inverse=True)
        if rank.max() > 0:
            held_out[y == c] = rank % FOLDS
    scores, labels = [], []
    for fold in range(FOLDS):
        test = held_out == fold
        if test.any():
            scores.append(learn(X[~test], y[~test]).scores(X[test]))
            labels.append(y[test])
    if not scores:
        return UNTESTED
    score, label = np.concatenate(scores), np.concatenate(labels)
    weight = 1 / np.bincount(label, minlength=len(count))[label]
    own = np.arange(len(label)), label
    loss = [-(weight * log_softmax(score / t, axis=1)[own]).sum() for t in TEMPERATURES]
    return float(TEMPERATURES[np.argmin(loss)]) if np.ptp(loss) > 0 else 1.0
