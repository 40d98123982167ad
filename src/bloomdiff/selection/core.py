"""`select`: arrays in, ordered cells with scores and reasons out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bloomdiff.errors import InputError, ParameterError
from bloomdiff.selection.base import (
    COLD_START,
    Codes,
    Ranking,
    Situation,
    make_strategy,
)
from bloomdiff.selection.geometry import Doubles, Floats, Index
from bloomdiff.selection.reasons import explain


@dataclass(frozen=True)
class Choice:
    """Cells in the order in which to label them.

    Attributes
    ----------
    index
        Positions in the pool `(n,)`; the place in the array is the rank.
    parts
        Name to value `(n,)`: what made each score; "score" is always there.
    code
        Kind of reason, one of `reasons.CODES`, `(n,)`.
    reason
        The reason in words `(n,)`.
    predicted, confidence
        Likeliest class `(n,)`, '' where none can be told, and its probability, NaN there.
    """

    index: Index
    parts: dict[str, Doubles]
    code: Codes
    reason: list[str]
    predicted: Codes
    confidence: Doubles

    def __len__(self) -> int:
        return len(self.index)


def select(
    X_pool: npt.ArrayLike,
    *,
    X_labelled: npt.ArrayLike | None = None,
    y_labelled: npt.ArrayLike | None = None,
    strategy: str = "expected-gain",
    params: dict[str, Any] | None = None,
    n: int,
    seed: int = 0,
    proba: npt.ArrayLike | None = None,
    classes: Sequence[str] | None = None,
    X_pending: npt.ArrayLike | None = None,
) -> Choice:
    """Choose the cells of a pool that the expert should label next.

    Without labels every strategy works: those that need classes leave the choice to TypiClust
    until two classes are labelled or probabilities are given.

    Parameters
    ----------
    X_pool
        Embeddings `(p, d)` of cells without a label.
    X_labelled, y_labelled
        Embeddings `(m, d)` and class names `(m,)` of the cells labelled so far.
    strategy, params
        Name in `STRATEGIES`, and its options.
    n
        Cells to choose, 1 to p.
    seed
        Seed of everything random: same arguments, same choice.
    proba, classes
        Class probabilities `(p, c)` of the pool by another model, and the names of its columns;
        they take the place of the probabilities of a linear probe on the labelled cells.
    X_pending
        Embeddings `(q, d)` of cells that were chosen before and are not labelled yet.

    Raises
    ------
    ParameterError
        An unknown strategy or option, or `n` out of range.
    InputError
        An empty pool, rows that are not finite, labels that are empty or unknown, or
        probabilities that are none; each names the row.
    """
    situation = situation_of(
        X_pool, X_labelled, y_labelled, seed, proba=proba, classes=classes, X_pending=X_pending
    )
    if not 1 <= n <= len(situation.X):
        raise ParameterError(
            f"n {n}",
            f"the pool has {len(situation.X)} cells",
            f"give a number from 1 to {len(situation.X)}",
        )
    ranking = rank(situation, strategy, params, n)
    predicted, confidence = np.full(n, "", dtype=object), np.full(n, np.nan)
    if situation.can_classify:
        names = np.asarray(situation.classes, dtype=object)
        proba = situation.proba[ranking.index]
        predicted, confidence = names[proba.argmax(axis=1)], proba.max(axis=1)
    return Choice(
        ranking.index,
        ranking.parts,
        ranking.code,
        explain(situation, ranking),
        predicted.astype(str),
        confidence,
    )


def rank(situation: Situation, strategy: str, params: dict[str, Any] | None, n: int) -> Ranking:
    """Rank by a strategy, or by that of the cold start where it has nothing to go by."""
    made = make_strategy(strategy, params)
    if made.needs_classes and not situation.can_classify:
        made = make_strategy(COLD_START)
    return made.rank(situation, n)


def situation_of(
    X_pool: npt.ArrayLike,
    X_labelled: npt.ArrayLike | None,
    y_labelled: npt.ArrayLike | None,
    seed: int,
    *,
    proba: npt.ArrayLike | None,
    classes: Sequence[str] | None,
    X_pending: npt.ArrayLike | None,
) -> Situation:
    """What a strategy is shown, checked: parameters and errors are those of `select`."""
    if not 0 <= seed < 2**32:
        raise ParameterError("seed", f"is {seed}", f"give 0 to {2**32 - 1}")
    X = _rows(X_pool, "pool", None)
    if not len(X):
        raise InputError("the pool", "holds no cell", "give cells without a label")
    labelled = _rows(X_labelled, "labelled", X.shape[1])
    pending = _rows(X_pending, "pending", X.shape[1])
    y = np.asarray([] if y_labelled is None else y_labelled, dtype=str)
    if len(y) != len(labelled):
        raise ParameterError(
            "y_labelled", f"has {len(y)} labels for {len(labelled)} rows", "give one for each row"
        )
    if (y == "").any():
        row = int(np.flatnonzero(y == "")[0])
        raise InputError(f"labelled row {row}", "has no label", "leave it in the pool")
    found = sorted(set(y.tolist()))
    names = tuple(found if classes is None else classes)
    if unknown := [name for name in found if name not in names]:
        raise InputError(f"class {unknown[0]!r}", "is not among `classes`", "add it there")
    given = None if proba is None else _probabilities(proba, len(X), names)
    where = {name: at for at, name in enumerate(names)}
    index = np.asarray([where[name] for name in y.tolist()], dtype=np.intp)
    return Situation(X, labelled, index, names, seed, pending, given)


def _rows(values: npt.ArrayLike | None, what: str, dim: int | None) -> Floats:
    if values is None:
        return np.empty((0, dim or 0), dtype=np.float32)
    X = np.ascontiguousarray(values, dtype=np.float32)
    if X.ndim != 2 or (dim is not None and len(X) and X.shape[1] != dim):
        wanted = "(rows, numbers)" if dim is None else f"(rows, {dim})"
        raise ParameterError(f"the {what} rows", f"have shape {X.shape}", f"give {wanted}")
    # Sums over rows tell what is not finite without a mask of the whole pool.
    bad = np.flatnonzero(~np.isfinite(np.einsum("ij->i", X, dtype=np.float64)))
    if len(bad):
        raise InputError(f"{what} row {bad[0]}", "is not finite", "embed it again or drop it")
    return X.reshape(-1, dim) if dim is not None else X


def _probabilities(proba: npt.ArrayLike, n: int, names: tuple[str, ...]) -> Doubles:
    from bloomdiff.metrics.classification import check_probabilities

    values = np.asarray(proba, dtype=np.float64)
    if values.shape != (n, len(names)):
        raise ParameterError(
            "proba", f"has shape {values.shape}", f"give ({n}, {len(names)}) and name its classes"
        )
    try:
        return check_probabilities(values, *values.shape)
    except InputError as error:
        where = error.where.replace("test row", "pool row")
        raise InputError(where, error.problem, error.mend) from None
