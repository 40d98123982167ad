"""Replayed annotation: labels are hidden, asked for by a strategy, and judged on cells apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.fingerprint import assert_disjoint
from bloomdiff.data.partition import partition
from bloomdiff.data.view_whitening import ViewWhitening
from bloomdiff.errors import LeakageError, ParameterError
from bloomdiff.selection.base import Situation
from bloomdiff.selection.core import rank
from bloomdiff.selection.geometry import Index

Chooser = Callable[[Situation, int], Index]
"""Positions in the pool of the next cells, given what is known."""


@dataclass(frozen=True)
class Judge:
    """The classifier whose scores tell what labels are worth.

    Attributes
    ----------
    classifier
        Its name. One that learns from a pool has the cells that have not been asked for, without
        their labels.
    params
        Its hyper-parameters, what is left out by default.
    """

    classifier: str = "logistic"
    params: Mapping[str, Any] = field(default_factory=dict)


PROBE = Judge()


@dataclass(frozen=True)
class Step:
    """What was reached with some labels.

    Attributes
    ----------
    budget
        Labels so far.
    scores
        Metric name to value on the test cells.
    found
        Labels so far of each class that the pool has.
    fields
        Distinct fields of view opened so far; NaN where the cells name none.
    """

    budget: int
    scores: dict[str, float]
    found: dict[str, int]
    fields: float


@dataclass(frozen=True)
class Replay:
    """One run of a strategy: the steps, and when each class was found.

    Attributes
    ----------
    steps
        In the order of the budgets.
    order
        Positions in the pool, in the order in which labels were asked for.
    """

    steps: list[Step]
    order: Index


def by_strategy(name: str, params: dict[str, Any] | None = None) -> Chooser:
    """The chooser that asks a registered strategy."""

    def choose(situation: Situation, n: int) -> Index:
        return rank(situation, name, params, n).index

    return choose


def replay(
    pool: EmbeddingSet,
    test: EmbeddingSet,
    choose: Chooser,
    *,
    budgets: Sequence[int],
    seed: int,
    judge: Judge = PROBE,
) -> Replay:
    """Ask for labels step by step, beginning with none, and score a classifier after each step.

    The chooser sees the labels that were asked for and no others: not even the names of classes
    that nobody has found yet. Where the pool has views, both it and the classifier work in the
    units of `ViewWhitening`, fitted on the pool.

    Parameters
    ----------
    pool
        Labelled cells whose labels are hidden.
    test
        Labelled cells, no group of which is in the pool.
    choose
        The strategy.
    budgets
        Numbers of labels at which to score, rising, at most the pool's size.
    seed
        Seed of the strategy and the classifier.
    judge
        The classifier that is scored.

    Raises
    ------
    LeakageError
        A test group is in the pool, or the strategy chose a cell twice.
    """
    assert_disjoint(test.group, pool.fingerprint, what="the pool")
    if not budgets or budgets[-1] > len(pool) or list(budgets) != sorted(set(budgets)):
        raise ParameterError(
            f"budgets {list(budgets)}", f"do not rise to at most {len(pool)}", "mend them"
        )
    truth = pool.label
    court = _Court(pool, test, judge, seed, ViewWhitening.of(pool))
    X = pool.X if court.whitening is None else court.whitening.transform(pool.X)
    order = np.empty(0, dtype=np.intp)
    steps = []
    for number, budget in enumerate(budgets):
        rest = np.setdiff1d(np.arange(len(pool)), order)
        names = np.unique(truth[order])
        situation = Situation(
            X[rest],
            X[order],
            np.searchsorted(names, truth[order]).astype(np.intp),
            tuple(names.tolist()),
            (seed * 1000 + number) % 2**32,  # from there on libraries take no seed
            np.empty((0, pool.dim), dtype=np.float32),
        )
        picked = rest[choose(situation, budget - len(order))]
        order = np.concatenate([order, picked])
        if len(np.unique(order)) != budget:
            raise LeakageError("the strategy", "chose a cell twice", "mend it")
        steps.append(court.step(order))
    return Replay(steps, order)


def hold_out(cells: EmbeddingSet, n_splits: int, seed: int) -> tuple[EmbeddingSet, EmbeddingSet]:
    """Labelled cells as pool and test part, one of `n_splits` grouped, stratified parts.

    Raises
    ------
    ParameterError
        Fewer groups that can be tested than parts.
    """
    labelled = cells.take(cells.label != "")
    part = partition(labelled.label, labelled.group, n_splits, seed=[seed])
    return labelled.take(part != 0), labelled.take(part == 0)


def full_score(
    pool: EmbeddingSet, test: EmbeddingSet, *, seed: int, judge: Judge = PROBE
) -> dict[str, float]:
    """Scores with every label of the pool."""
    assert_disjoint(test.group, pool.fingerprint, what="the pool")
    court = _Court(pool, test, judge, seed, ViewWhitening.of(pool))
    return court.step(np.arange(len(pool))).scores


@dataclass(frozen=True)
class _Court:
    """Scores a classifier that has learned from some cells of the pool.

    Attributes
    ----------
    pool, test, judge, seed
        As given to `replay`.
    whitening
        Units that the classifier works in, where the pool has views.
    """

    pool: EmbeddingSet
    test: EmbeddingSet
    judge: Judge
    seed: int
    whitening: ViewWhitening | None

    def step(self, order: Index) -> Step:
        """What the cells at positions `order` of the pool bring."""
        from bloomdiff.metrics.classification import score_classification

        train = self.pool.take(order)
        names, counts = np.unique(train.label, return_counts=True)
        found = dict.fromkeys(sorted(set(self.pool.label.tolist())), 0)
        found |= dict(zip(names.tolist(), counts.tolist(), strict=True))
        classes = sorted({*found, *self.test.label.tolist()})
        if len(names) == 1:
            # One class is known: a classifier would say nothing else.
            proba = np.zeros((len(self.test), len(classes)))
            proba[:, classes.index(str(names[0]))] = 1
        else:
            proba = self._predict(train, order, classes)
        fields = float("nan")
        if "field" in train.rows and (train.rows["field"] != "").all():
            named = [name for name in ("source", "field") if name in train.rows]
            fields = float(len(train.rows[named].drop_duplicates()))
        scores = score_classification(self.test.label, proba, classes)
        return Step(len(order), scores, found, fields)

    def _predict(
        self, train: EmbeddingSet, order: Index, classes: list[str]
    ) -> npt.NDArray[np.float64]:
        from bloomdiff.classifiers import CLASSIFIERS, make_classifier

        rest = None
        if CLASSIFIERS[self.judge.classifier].uses_pool:
            rest = self.pool.take(np.setdiff1d(np.arange(len(self.pool)), order))
        model = make_classifier(self.judge.classifier, dict(self.judge.params), seed=self.seed)
        model.fit(
            train.X,
            train.label,
            fingerprint=train.fingerprint,
            classes=classes,
            pool=rest,
            whitening=self.whitening,
        )
        return model.predict_on(self.test)
