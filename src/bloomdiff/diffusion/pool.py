"""Labels for an unlabelled pool: a classifier and the class prior teach each other in rounds.

A linear classifier that trains itself on the pool (Yarowsky 1995, doi:10.3115/981658.981684) finds
the classes even where there is one labelled row of each, from which no within-class covariance can
be learned; where one can, its opinion and that of the prior are averaged. Expectation maximisation
of the class prior on labelled and down-weighted pool rows (Nigam et al. 2000,
doi:10.1023/A:1007692713085) takes over, since clouds that share a covariance are a better model of
few rows than a boundary is. A classifier taught by the prior starts the next round. Diffusion on
such pseudo-labels is due to You et al. 2023 (arXiv:2302.10586).

All of it happens in the leading principal components of labelled and pool rows together.

A pool of another laboratory or stain lies off the labelled rows (`bloomdiff.diffusion.domains`).
Where it can be told from them, the offset that the classes have in common is learned along with
the labels and taken from the pool's rows before they are joined. A pool of other cells may draw a
class away from its own labels all the same and end up in it as a whole. So the labels have the last
word: where the prior that learned from the pool loses them and sees few of the classes, the pool is
left aside.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from bloomdiff.diffusion.domains import TOLD_APART, common_offset, told_apart
from bloomdiff.diffusion.prior import ClassPrior
from bloomdiff.diffusion.whitening import Doubles, Floats, Index

COMPONENTS = 64
"""Principal components in which the pool is labelled."""
STEPS = 10
"""Steps of expectation maximisation a round."""
SHARE = 0.1
"""Part of the pool that joins the self-training classifier at a time."""
NEGLIGIBLE = 0.001
"""Count below which a pool row is not counted for a class."""
TRIAL = 0.1
"""Trust at which a pool is tried against the labels; more of it overrules single labels anyway."""
LOST = 0.1
"""Mean recall of the labelled rows that may be lost to a pool on trial, whatever it looks like."""
FEW = 0.5
"""Part of the classes that a pool must seem to hold where labelled rows are lost to it."""


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
        As in `Labels`; None where the pool was left aside.
    offset
        By how much the pool lies off the labelled rows, float32 `(d,)`; zero where nobody can
        tell them apart.
    """

    prior: ClassPrior
    counts_for: Doubles | None
    offset: Floats


def prior_with_pool(
    X: Floats,
    y: Index,
    pool: Floats | None,
    *,
    rounds: int,
    trust: float,
    shrinkage: float | None = None,
    parents: Index | None = None,
) -> Learned:
    """The class prior of labelled rows and, where there is one, of a pool.

    Parameters
    ----------
    X, y, rounds, trust, shrinkage
        As for `pseudo_labels`.
    pool
        Rows without labels `(m, d)`, or None; one class or no trust leave it aside.
    parents
        As for `Centres.fit`.
    """
    still = np.zeros(X.shape[1], dtype=np.float32)
    if pool is not None and len(pool) and trust and y.max():
        told = pseudo_labels(X, y, pool, rounds=rounds, trust=trust, shrinkage=shrinkage)
        if told.counts_for.any():
            offset = common_offset(X, y, pool, told.counts_for) if told.moved else still
            rows, labels, weight = join(X, y, pool - offset, told.counts_for)
            prior = ClassPrior.fit(
                rows, labels, weight=weight, shrinkage=shrinkage, parents=parents
            )
            return Learned(prior, told.counts_for, offset)
    return Learned(ClassPrior.fit(X, y, shrinkage=shrinkage, parents=parents), None, still)


def pseudo_labels(
    X: Floats,
    y: Index,
    pool: Floats,
    *,
    rounds: int,
    trust: float,
    shrinkage: float | None = None,
) -> Labels:
    """How many labelled rows of each class every pool row counts for.

    All zero, with a warning, where the pool contradicts the labels.

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
    shrinkage
        Of the covariance, as for `residual_covariance`.
    """
    A, B = _components(X, pool)
    p, known = self_trained(A, y, B), 1.0
    if np.bincount(y).max() > 1:  # the prior of labelled rows alone errs in other ways
        alone = ClassPrior.fit(A, y, shrinkage=shrinkage)
        q, known = alone.posterior(B), mean_recall(alone, A, y)
        p = np.sqrt((p + NEGLIGIBLE) * (q + NEGLIGIBLE))
        p /= p.sum(axis=1, keepdims=True)
    moved = told_apart(A, y, B, p) > TOLD_APART

    def learn(trust: float) -> tuple[ClassPrior, Doubles]:
        return _in_turns(A, y, B, p, rounds=rounds, trust=trust, shrinkage=shrinkage, moved=moved)

    prior, seen = learn(min(trust, TRIAL))
    lost = known - mean_recall(prior, A, y)
    if lost > LOST and effective_classes(seen) < FEW * seen.shape[1]:
        warnings.warn(
            f"the unlabelled pool is left aside: learning from it loses {lost:.0%} of the labelled "
            "rows and finds few of their classes, so that its cells seem to be of another kind",
            stacklevel=2,
        )
        return Labels(np.zeros_like(p), moved)
    if trust > TRIAL:
        _, seen = learn(trust)
    return Labels(_counts(seen, trust), moved)


def _in_turns(
    A: Floats,
    y: Index,
    B: Floats,
    p: Doubles,
    *,
    rounds: int,
    trust: float,
    shrinkage: float | None,
    moved: bool,
) -> tuple[ClassPrior, Doubles]:
    """Prior and class probabilities of the unlabelled `B` after so many rounds, from those of `p`.

    Where the pool was moved, its rows are taken back by what the classes have in common.
    """
    there = B
    for turn in range(rounds):
        if turn:
            p = taught(A, y, B, p)
        for _ in range(STEPS):
            rows, labels, weight = join(A, y, B, _counts(p, trust))
            prior = ClassPrior.fit(rows, labels, weight=weight, shrinkage=shrinkage)
            p = prior.posterior(B)
            if moved:
                B = there - common_offset(A, y, there, _counts(p, trust))
    return prior, prior.posterior(B) if moved else p


def mean_recall(prior: ClassPrior, X: Floats, y: Index) -> float:
    """Share of the rows of a class that the prior finds again, mean over the classes."""
    from sklearn.metrics import balanced_accuracy_score

    return float(balanced_accuracy_score(y, prior.scores(X).argmax(axis=1)))


def effective_classes(p: Doubles) -> float:
    """How many equally frequent classes would have the entropy of the mean of `p`, `(m, c)`."""
    from scipy.stats import entropy

    return float(np.exp(entropy(p.mean(axis=0))))


def self_trained(A: Floats, y: Index, B: Floats) -> Doubles:
    """Class probabilities of unlabelled `B` by self-training on labelled `(A, y)`, `(m, c)`.

    The surest tenth of what is left joins at a time, as rows of certain label.
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
