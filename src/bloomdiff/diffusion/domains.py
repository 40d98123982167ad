"""A pool from elsewhere: whether it can be told from the labelled rows, and by how much it moved.

Another laboratory's stain and camera move every cell of a class alike, often farther than classes
lie apart. Whether a pool was moved is a two-sample test by a classifier (Lopez-Paz and Oquab 2017,
arXiv:1610.06545): where labelled rows and pool rows are of one kind, nobody tells them apart. How
far is the difference that the classes have in common, learned while the pool is labelled.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bloomdiff.diffusion.whitening import Doubles, Floats, Index

TOLD_APART = 0.98
"""Area under the ROC curve from which on a pool counts as moved.

Pools of other laboratories came to 1.00 in each of 160 fits. Those of the labelled rows' own came
to 0.77 at most in 320, and to 0.95 where most of a pool had been picked and labelled on purpose.
"""
FOLDS = 5
"""Of the two-sample test."""
MOST = 2_000
"""Pool rows that the test looks at."""
PENALTY = 0.1
"""Inverse strength of the test's ridge penalty."""


def told_apart(X: Floats, y: Index, pool: Floats, p: Doubles) -> float:
    """Area under the ROC curve of telling held-out labelled rows from those of a pool.

    Every class weighs alike on either side: that a pool holds other shares of the classes than the
    labels do, as a long tail of labels has it, does not tell it apart.

    Parameters
    ----------
    X, y
        Labelled rows `(n, k)` and their class indices `(n,)`, every class present.
    pool
        Rows without labels `(m, k)`.
    p
        Their class probabilities `(m, c)`.

    Returns
    -------
    The area; 0.5 where there are too few rows to hold any out.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    folds = min(FOLDS, len(X) // 2, len(pool) // 2)
    if folds < 2:
        return 0.5
    if len(pool) > MOST:
        drawn = np.random.default_rng(0).choice(len(pool), MOST, replace=False)
        pool, p = pool[drawn], p[drawn]
    here = 1 / np.bincount(y)[y]
    there = (p / np.maximum(p.sum(axis=0), np.finfo(float).tiny)).sum(axis=1)
    side = np.repeat([1, 0], [len(X), len(pool)])
    weight = np.concatenate([here / here.mean() / len(X), there / there.mean() / len(pool)])
    weight *= len(side) / 2
    rows, said = np.concatenate([X, pool]), np.zeros(len(side))
    for fit, held in StratifiedKFold(folds, shuffle=True, random_state=0).split(rows, side):
        model = LogisticRegression(C=PENALTY, max_iter=300)
        said[held] = model.fit(rows[fit], side[fit], weight[fit]).decision_function(rows[held])
    return float(roc_auc_score(side, said, sample_weight=weight))


def common_offset(X: Floats, y: Index, pool: Floats, counts_for: Doubles) -> Floats:
    """By how much the pool lies off the labelled rows, class for class, float32 `(d,)`.

    The generalised least squares estimate of a difference of means that all classes share: a class
    weighs n m / (n + m), where n labelled rows and pool rows of weight m speak for it.

    Parameters
    ----------
    X, y
        Labelled rows `(n, d)` and their class indices `(n,)`, every class present.
    pool
        Rows without labels `(m, d)`.
    counts_for
        How many labelled rows of each class every pool row counts for, `(m, c)`.
    """
    there = counts_for.sum(axis=0)
    seen = there > 0
    here = np.bincount(y, minlength=len(there))
    if not seen.any():
        return np.zeros(X.shape[1], dtype=np.float32)
    labelled = np.stack([X[y == c].mean(axis=0, dtype=np.float64) for c in np.flatnonzero(seen)])
    difference = (counts_for[:, seen].T @ pool) / there[seen, None] - labelled
    weight = (here * there / (here + there))[seen]
    return np.asarray(weight @ difference / weight.sum(), dtype=np.float32)


Score = Callable[[Floats], Doubles]


def on_either_side(density: Score, X: Floats, offset: Floats) -> Doubles:
    """Log densities of rows `(n, d)` that may come from here or from where the pool does.

    Both are taken as equally likely. Where nothing was moved, `density(X)` itself.
    """
    if not offset.any():
        return density(X)
    return np.logaddexp(density(X), density(X - offset)) - np.log(2)


def classes_on_either_side(score: Score, density: Score, X: Floats, offset: Floats) -> Doubles:
    """Log-likelihoods of the classes up to a constant of each row `(n, c)`, from either side.

    Parameters
    ----------
    score
        Those of rows from here. Its constant is another one for a row taken back: that has to be
        made up for, or what tells the sides apart has no say in which of them a row is from.
    density
        Log densities of rows from here in each class, `(n, c)`.
    X, offset
        As for `on_either_side`; where nothing was moved, the result is `score(X)` itself.
    """
    from scipy.special import log_softmax, logsumexp

    if not offset.any():
        return score(X)

    def told(X: Floats) -> Doubles:
        whole = logsumexp(density(X), axis=1, keepdims=True)
        return np.asarray(log_softmax(score(X), axis=1) + whole)

    return on_either_side(told, X, offset)
