"""The `Strategy` contract: puts the cells of a pool into the order in which to label them.

To add a strategy is to add one class with its name, its `Params` and `rank`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from bloomdiff.registry import Registry
from bloomdiff.selection.geometry import Doubles, Floats, Index, unit
from bloomdiff.validation import validated

Codes = npt.NDArray[np.str_]
PREDICT_ROWS = 1 << 16  # pool rows whose probabilities are computed together


class StrategyParams(BaseModel):
    """Options of a strategy; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Situation:
    """What is known when the next cells are to be chosen.

    Attributes
    ----------
    X
        The pool, float32 `(n, d)`.
    X_labelled, y
        Labelled rows float32 `(m, d)` and their class indices `(m,)`; m may be 0.
    classes
        Class names `(c,)`; every one of them has a labelled row or a column in `given`.
    seed
        Seed of everything random.
    X_pending
        Rows chosen already whose label is not known yet, float32 `(q, d)`.
    given
        Class probabilities `(n, c)` of a detector or another model, where there are any.
    """

    X: Floats
    X_labelled: Floats
    y: Index
    classes: tuple[str, ...]
    seed: int
    X_pending: Floats
    given: Doubles | None = None

    @property
    def covered(self) -> Floats:
        """Labelled and pending rows: what need not be chosen again."""
        return np.concatenate([self.X_labelled, self.X_pending])

    @cached_property
    def counts(self) -> Index:
        """Labelled rows of each class `(c,)`."""
        return np.bincount(self.y, minlength=len(self.classes)).astype(np.intp)

    @property
    def can_classify(self) -> bool:
        """Whether there are probabilities of two classes or more, given or by a probe.

        Those of a single class tell no cell from another.
        """
        given = 0 if self.given is None else self.given.shape[1]
        return given > 1 or len(np.unique(self.y)) > 1

    @cached_property
    def proba(self) -> Doubles:
        """Class probabilities of the pool `(n, c)`: those given, or a linear probe's."""
        if self.given is not None:
            return self.given
        return self.probe(np.arange(len(self.y)), self.seed)

    def probe(self, rows: Index, seed: int) -> Doubles:
        """Probabilities `(n, c)` by a linear probe fitted on the labelled `rows`."""
        from bloomdiff.classifiers import make_classifier
        from bloomdiff.data.fingerprint import Fingerprint

        names = np.asarray(self.classes)
        order = np.argsort(names)
        model = make_classifier("logistic", seed=seed)
        # What ranks a pool is never judged; whoever judges carries the fingerprint.
        model.fit(
            self.X_labelled[rows],
            names[self.y[rows]],
            fingerprint=Fingerprint.empty(),
            classes=self.classes,
        )
        proba = np.empty((len(self.X), len(names)))
        for start in range(0, len(self.X), PREDICT_ROWS):
            part = slice(start, start + PREDICT_ROWS)
            proba[part, order] = model.predict_proba(self.X[part])
        return proba

    @cached_property
    def directions(self) -> Floats:
        """The pool's rows at length 1, float32 `(n, d)`."""
        return unit(self.X)

    @property
    def covered_directions(self) -> Floats:
        """Labelled and pending rows at length 1."""
        return unit(self.covered)

    def rng(self) -> np.random.Generator:
        """A fresh generator of this situation's seed."""
        return np.random.default_rng(self.seed)


@dataclass(frozen=True)
class Ranking:
    """The chosen rows, first to be labelled first.

    Attributes
    ----------
    index
        Positions in the pool `(k,)`, no two equal.
    parts
        Name to value `(k,)`: what made each row's score. "score" is always there; values are
        comparable within one ranking only.
    code
        Why each row was chosen, one of `reasons.CODES`, `(k,)`.
    """

    index: Index
    parts: dict[str, Doubles] = field(default_factory=dict)
    code: Codes = field(default_factory=lambda: np.empty(0, dtype=str))

    @classmethod
    def of(cls, index: Index, code: str, **parts: npt.NDArray[Any]) -> Ranking:
        """A ranking whose rows share one reason."""
        values = {name: np.asarray(part, dtype=np.float64) for name, part in parts.items()}
        return cls(np.asarray(index, dtype=np.intp), values, np.full(len(index), code))

    @classmethod
    def by_score(cls, score: Doubles, n: int, code: str, **parts: Doubles) -> Ranking:
        """The `n` rows of highest score `(p,)`; equal scores go to the first row."""
        top = np.argsort(-score, kind="stable")[:n]
        return cls.of(top, code, score=score[top], **{k: part[top] for k, part in parts.items()})


class Strategy(ABC):
    """Chooses which cells of a pool are labelled next.

    Attributes
    ----------
    name
        Name in the registry.
    summary
        What it does, in a line.
    needs_classes
        Whether it can do nothing without class probabilities: the cold start is left to
        `COLD_START` then.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    needs_classes: ClassVar[bool] = False
    Params: ClassVar[type[StrategyParams]] = StrategyParams
    params: Any  # an instance of `Params`; subclasses narrow it

    def __init__(self, params: StrategyParams | None = None) -> None:
        self.params = self.Params() if params is None else params

    @abstractmethod
    def rank(self, situation: Situation, n: int) -> Ranking:
        """Choose `n` rows of the pool, at least 1 and at most all of them."""


STRATEGIES: Registry[type[Strategy]] = Registry("strategy")
COLD_START = "typiclust"
"""The strategy of those that need classes while fewer than two are known: with no label at all,
typical cells of as many clusters teach the most (Hacohen et al. 2022, arXiv:2202.02794)."""


def make_strategy(name: str, params: dict[str, Any] | None = None) -> Strategy:
    """Make a strategy by name; an unknown name or option is a `ParameterError`."""
    strategy = STRATEGIES[name]
    return strategy(validated(strategy.Params, params or {}, f"strategy {name!r}"))
