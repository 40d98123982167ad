"""A queue is filled in rounds: rank, let in what the limits admit, rank what is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bloomdiff.errors import ParameterError
from bloomdiff.selection.core import Choice, select, situation_of
from bloomdiff.selection.geometry import Doubles, Floats, Index
from bloomdiff.selection.limits import Gate, Limits
from bloomdiff.selection.pool import Pool
from bloomdiff.selection.twins import TwinFilter

SPARE = 1.5  # cells ranked for each that is wanted: some will be kept out
MIN_RANKED = 32


@dataclass
class Filled:
    """The cells of a queue, in order: positions in the pool, and what is told of each."""

    index: list[int] = field(default_factory=list)
    predicted: list[str] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    reason: list[str] = field(default_factory=list)
    parts: dict[str, list[float]] = field(default_factory=dict)
    taken: dict[str, Any] = field(default_factory=dict)
    kept_out: dict[str, int] = field(default_factory=dict)

    def add(self, choice: Choice, at: int, i: int, unfit: str, predicted: str) -> None:
        """Append place `at` of a choice, which is cell `i` of the pool."""
        for name in {*self.parts, *choice.parts}:
            column = self.parts.setdefault(name, [float("nan")] * len(self.index))
            column.append(float(choice.parts[name][at]) if name in choice.parts else float("nan"))
        self.index.append(i)
        self.predicted.append(predicted)
        self.confidence.append(float(choice.confidence[at]))
        self.code.append("unfit" if unfit else str(choice.code[at]))
        self.reason.append(unfit or choice.reason[at])


def fill(
    pool: Pool,
    strategy: str,
    params: dict[str, Any],
    seed: int,
    limits: Limits,
    twins: TwinFilter,
    blocked: npt.NDArray[np.bool_],
    *,
    unfit: list[str],
    head: Mapping[int, str | None],
) -> Filled:
    """Fill a queue up to its limits.

    Parameters
    ----------
    pool, strategy, params, seed, limits
        See `build_queue`.
    twins
        Knows which cells show the same.
    blocked
        Cells of the pool that must not be asked for `(n,)`.
    unfit
        Why each cell is unfit for labelling, '' where it is fit: unfit ones come last.
    head
        Cells that were asked for before, in their order, and the classes that were predicted of
        them then, None where that is to be done anew: they come first among the fit and among the
        unfit, and count against a cap on classes as they did.

    Raises
    ------
    ParameterError
        A budget above the pool.
    """
    if limits.objects > len(pool.cells):
        raise ParameterError(
            f"objects {limits.objects}",
            f"the pool has {len(pool.cells)} cells",
            f"ask for at most {len(pool.cells)}",
        )
    gate = Gate(limits, limits.longest(pool.place[~blocked]))
    filled, out = Filled(), Counter[str]()
    out["like a labelled cell"] = int(blocked.sum())
    poor = np.asarray([bool(reason) for reason in unfit])
    state = (pool, gate, twins, filled, out)
    asked: list[tuple[Choice, int, int]] = []
    # A cell that was asked for may since have got a labelled twin.
    if first := [i for i in head if not blocked[i]]:
        order = _rank(pool, strategy, params, seed, np.asarray(first), [], len(first))
        place = {i: at for at, i in enumerate(np.asarray(first)[order.index])}
        asked = [(order, place[i], i) for i in first]
    shut = _Shut(pool, gate, seed)
    for stage in (~poor, poor):
        for choice, at, i in asked:
            if stage[i]:
                _offer(*state, choice, at, i, unfit[i], predicted=head[i])
        free = stage & ~blocked
        free[first] = False
        rounds = 0
        while not gate.is_full and free.any():
            rows = np.flatnonzero(free)
            beyond = shut.among(rows)
            out["over a limit"] += int(beyond.sum())
            free[rows[beyond]] = False
            if beyond.all():
                break
            rows = rows[~beyond]
            wanted = limits.objects - gate.count
            n = min(len(rows), max(MIN_RANKED, int(np.ceil(SPARE * wanted))))
            ranked = _rank(pool, strategy, params, seed + rounds, rows, filled.index, n)
            for at, i in enumerate(rows[ranked.index]):
                if gate.is_full:
                    break
                _offer(*state, ranked, at, int(i), unfit[i])
                free[i] = False
            rounds += 1
    filled.taken = gate.told()
    filled.kept_out = {name: n for name, n in sorted(out.items()) if n}
    return filled


class _Shut:
    """Knows the cells that no round can let in any more: to rank them again would be in vain."""

    def __init__(self, pool: Pool, gate: Gate, seed: int) -> None:
        self._pool, self._gate, self._seed = pool, gate, seed

    def among(self, rows: Index) -> npt.NDArray[np.bool_]:
        """Which of these cells of the pool are shut out `(n,)`."""
        place = self._pool.place.iloc[rows]
        if self._gate.exhausted("class"):
            place = place.assign(**{"class": self._predicted.iloc[rows]})
        return self._gate.shuts_out(place)

    @cached_property
    def _predicted(self) -> pd.Series[str]:
        """Likeliest class of each cell of the pool, as every round's ranking tells it."""
        everything = np.arange(len(self._pool.cells))
        X, known = _known(self._pool, everything)
        situation = situation_of(X, seed=self._seed, X_pending=None, **known)
        if not situation.can_classify:  # classes of an earlier call, whose labels are gone
            return pd.Series("", index=self._pool.place.index, dtype=str)
        names = np.asarray(situation.classes)[situation.proba.argmax(axis=1)]
        return pd.Series(names, index=self._pool.place.index, dtype=str)


def _rank(
    pool: Pool,
    strategy: str,
    params: dict[str, Any],
    seed: int,
    rows: Index,
    pending: list[int],
    n: int,
) -> Choice:
    X, known = _known(pool, rows)
    return select(
        X,
        strategy=strategy,
        params=params,
        n=n,
        seed=seed,
        X_pending=pool.in_units[pending],
        **known,
    )


def _known(pool: Pool, rows: Index) -> tuple[Floats, dict[str, Any]]:
    """Some of the pool, and what is known of them, as `select` takes it."""
    proba: Doubles | None = None
    classes = None
    # A detector of one class says nothing of which class a cell is of.
    if pool.scores.proba is not None and len(pool.scores.classes) > 1:
        proba = pool.scores.proba[rows]
        found = sorted(set(pool.labelled.label.tolist()) - set(pool.scores.classes))
        proba = np.concatenate([proba, np.zeros((len(proba), len(found)))], axis=1)
        classes = [*pool.scores.classes, *found]
    X = pool.in_units
    # Of a large pool a copy counts.
    X = X if np.array_equal(rows, np.arange(len(X))) else X[rows]
    return X, {
        "X_labelled": pool.labelled_in_units,
        "y_labelled": pool.labelled.label,
        "proba": proba,
        "classes": classes,
    }


def _offer(
    pool: Pool,
    gate: Gate,
    twins: TwinFilter,
    filled: Filled,
    out: Counter[str],
    choice: Choice,
    at: int,
    i: int,
    unfit: str,
    *,
    predicted: str | None = None,
) -> None:
    """Let one cell in, or count why not."""
    place = {str(k): str(v) for k, v in pool.place.iloc[i].items()}
    if predicted is None:
        predicted = str(choice.predicted[at])
    place["class"] = predicted
    if twins.repeats(i):
        out["like a queued cell"] += 1
    elif not gate.admits(place):
        out["over a limit"] += 1
    else:
        gate.take(place)
        twins.take(i)
        filled.add(choice, at, i, unfit, predicted)
