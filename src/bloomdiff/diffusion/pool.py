"""Labels for an unlabelled pool: a classifier and the class prior teach each other in rounds.

A linear classifier that trains itself on the pool (Yarowsky 1995, doi:10.3115/981658.981684) finds
the classes even where there is one labelled row of each, from which no within-class covariance can
be learned; where one can, its opinion and that of the prior are averaged. Expectation maximisation
of the class prior on labelled and down-weighted pool rows (Nigam et al. 2000,
doi:10.1023/A:1007692713085) takes over, since clouds that share a covariance are a better model of
few rows than a boundary is. A classifier taught by the prior starts the next round. Classes are
taken as equally frequent in the pool, or as far as wanted as having their own shares of it
(`bloomdiff.diffusion.shares`). Diffusion on such pseudo-labels is due to You et al. 2023
(arXiv:2302.10586).

All of it happens in the leading principal components of labelled and pool rows together.

A pool of another laboratory or stain lies off the labelled rows (`bloomdiff.diffusion.domains`).
Where it can be told from them, the offset that the classes have in common is learned along with
the labels and taken from the pool's rows before they are joined.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from bloomdiff.diffusion.domains import (
    TOLD_APART,
    classes_on_either_side,
    common_offset,
    told_apart,
)
from bloomdiff.diffusion.prior import ClassPrior
from bloomdiff.diffusion.shares import evened, own_shares
from bloomdiff.diffusion.whitening import Doubles, Floats, Index

COMPONENTS = 64
"""Principal components in which the pool is labelled."""
STEPS = 10
"""Steps of expectation maximisation a round."""
SHARE = 0.1
"""Part of the pool that joins the self-training classifier at a time."""
NEGLIGIBLE = 0.001
"""Count below which a pool row is not counted for a class."""
OWN_SHARES = 0.5
"""What a moved pool's own shares of the classes count for beside equal ones, once there are any."""


class Labels(NamedTuple):
    """What is thought of a pool.

    Attributes
    ----------
    counts_for
        How many labelled rows of each class every pool row counts for, float64 `(m, c)`.
    moved
        Whether the pool can be told from the labelled rows.
    """

    counts_for: Doubles
    moved: bool


class Learned(NamedTuple):
    """What labelled rows and a pool say together.

    Attributes
    ----------
    prior
        The class prior, where the labelled rows are.
    counts_for
        As in `Labels`; None where no pool was learned from.
    offset
        By how much the pool lies off the labelled rows, float32 `(d,)`; zero where nobody can
        tell them apart.
    """

    prior: ClassPrior
    counts_for: Doubles | None
    offset: Floats

    def scores(self, X: Floats) -> Doubles:
        """Log-likelihoods of the classes, of rows from either side, as `ClassPrior.scores`."""
        prior = self.prior
        return classes_on_either_side(prior.scores, prior.log_densities, X, self.offset)


def prior_with_pool(
    X: Floats,
    y: Index,
    pool: Floats | None,
    *,
    rounds: int,
    trust: float,
    shares: float = 0.0,
    shrinkage: float | None = None,
    parents: Index | None = None,
) -> Learned:
    """The class prior of labelled rows and, where there is one, of a pool.

    Parameters
    ----------
    X, y, rounds, trust, shares, shrinkage
        As for `pseudo_labels`.
    pool
        Rows without labels `(m, d)`, or None; of no use to a single class or without trust.
    parents
        As for `Centres.fit`.
    """
    still = np.zeros(X.shape[1], dtype=np.float32)
    if pool is None or not len(pool) or not trust or not y.max():
        return Learned(ClassPrior.fit(X, y, shrinkage=shrinkage, parents=parents), None, still)
    told = pseudo_labels(X, y, pool, rounds=rounds, trust=trust, shares=shares, shrinkage=shrinkage)
    offset = still
    if told.moved:
        warnings.warn(
            "the unlabelled pool can be told from the labelled rows class by class, as one of "
            "another laboratory or stain can; the offset that the classes share is learned with it",
            stacklevel=2,
        )
        offset = common_offset(X, y, pool, told.counts_for)
    rows, labels, weight = join(X, y, pool - offset, told.counts_for)
    prior = ClassPrior.fit(rows, labels, weight=weight, shrinkage=shrinkage, parents=parents)
    return Learned(prior, told.counts_for, offset)


def pseudo_labels(
    X: Floats,
    y: Index,
    pool: Floats,
    *,
    rounds: int,
    trust: float,
    shares: float = 0.0,
    shrinkage: float | None = None,
) -> Labels:
    """How many labelled rows of each class every pool row counts for, and whether it was moved.

    Parameters
    ----------
    X, y
        Labelled rows `(n, d)` and their class indices `(n,)`, every class present.
    pool
        Rows without labels `(m, d)`.
    rounds
        Rounds of a classifier and the prior teaching each other, at least 1.
    trust
        What a pool row of certain label counts for, in [0, 1]; one of uncertain label counts for
        less, by the probability of its likeliest class.
    shares
        How far the classes have their own shares of the pool, in [0, 1], see `own_shares`. A moved
        pool has shares of its own making.
    shrinkage
        Of the covariance, as for `residual_covariance`.
    """
    A, B = _components(X, pool)
    p = self_trained(A, y, B)
    if np.bincount(y).max() > 1:  # the prior of labelled rows alone errs in other ways
        q = ClassPrior.fit(A, y, shrinkage=shrinkage).posterior(B)
        p = np.sqrt((p + NEGLIGIBLE) * (q + NEGLIGIBLE))
        p /= p.sum(axis=1, keepdims=True)
    moved = told_apart(A, y, B, p) > TOLD_APART
    p = _in_turns(
        A, y, B, p, rounds=rounds, trust=trust, shares=shares, shrinkage=shrinkage, moved=moved
    )
    return Labels(_counts(p, trust), moved)


def _in_turns(
    A: Floats,
    y: Index,
    B: Floats,
    p: Doubles,
    *,
    rounds: int,
    trust: float,
    shares: float,
    shrinkage: float | None,
    moved: bool,
) -> Doubles:
    """Class probabilities of the unlabelled `B` after so many rounds, from those of `p`.

    Where the pool was moved, its rows are taken back by what the classes have in common, and the
    classes' shares of it are held even in the first round and halfway in the others.
    """
    there = B

    def settled(p: Doubles, turn: int) -> tuple[Doubles, Floats]:
        """Labels with this round's shares, and the rows where they leave the pool."""
        if not moved:
            return own_shares(p, shares), there
        p = evened(p, OWN_SHARES if turn else 0.0)
        return p, there - common_offset(A, y, there, _counts(p, trust))

    p, B = settled(p, 0)
    for turn in range(rounds):
        if turn:
            p, B = settled(taught(A, y, B, p), turn)
        for _ in range(STEPS):
            rows, labels, weight = join(A, y, B, _counts(p, trust))
            prior = ClassPrior.fit(rows, labels, weight=weight, shrinkage=shrinkage)
            p, B = settled(prior.posterior(B), turn)
    return p


def self_trained(A: Floats, y: Index, B: Floats) -> Doubles:
    """Class probabilities of unlabelled `B` by self-training on labelled `(A, y)`, `(m, c)`.

    Its surest rows, a tenth of the pool, join at a time, as rows of certain label.
    """
    from sklearn.semi_supervised import SelfTrainingClassifier

    learner = SelfTrainingClassifier(
        _classifier(), criterion="k_best", k_best=max(1, round(SHARE * len(B))), max_iter=10
    )
    unknown = np.full(len(B), -1)
    return learner.fit(np.concatenate([A, B]), np.concatenate([y, unknown])).predict_proba(B)


def taught(A: Floats, y: Index, B: Floats, p: Doubles) -> Doubles:
    """Class probabilities of `B` by a classifier that takes the labels of `p` for it, `(m, c)`."""
    weight = np.concatenate([np.ones(len(y)), p.max(axis=1)])
    rows = np.concatenate([A, B])
    model = _classifier().fit(rows, np.concatenate([y, p.argmax(axis=1)]), weight)
    return model.predict_proba(B)


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


def _counts(p: Doubles, trust: float) -> Doubles:
    return trust * p.max(axis=1, keepdims=True) * p


def _classifier() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(class_weight="balanced", tol=1e-3, max_iter=1000)


def _components(X: Floats, pool: Floats) -> tuple[Floats, Floats]:
    """Both in the leading principal components, in units in which a feature's variance is one."""
    both = np.concatenate([X, pool]).astype(np.float64)
    both -= both.mean(axis=0)
    value, vector = np.linalg.eigh(both.T @ both / len(both))
    scale = np.sqrt(value.mean()) or 1.0
    rows = both @ vector[:, ::-1][:, :COMPONENTS] / scale
    rows = np.ascontiguousarray(rows, dtype=np.float32)
    return rows[: len(X)], rows[len(X) :]
