"""Do images drawn from embeddings show what was asked for? Judged in the encoder's own space.

An image is embedded again, by the encoder that made the embeddings, and compared with the vector
that it was drawn from. Two things frame the answer: a floor, real cells shrunk to the same size
and embedded again, and a control, the image of another cell of the same class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bloomdiff.metrics.bootstrap import MIN_GROUPS, bootstrap_counts, resampled_means
from bloomdiff.metrics.frechet import Moments, frechet_influences
from bloomdiff.metrics.points import Doubles, as_pair

MEASURES = {
    "cosine": "cosine between the vector asked for and that of the image",
    "control": "cosine to the image of another cell of the class",
    "class_agreement": "share that a classifier of real cells gives the class asked for",
    "frechet": "Fréchet distance to held-out real cells, shrunk to the same size",
}


@dataclass(frozen=True)
class Drawn:
    """Images of some cells, as the encoder sees them.

    Attributes
    ----------
    cells
        What they are.
    asked, seen
        Vectors drawn from, and of the images `(n, d)`.
    label, called
        Class asked for, and class that a classifier of real cells gives the image `(n,)`.
    groups
        Groups of the cells `(n,)`, which the bootstrap draws whole; None where each is its own.
    """

    cells: str
    asked: npt.NDArray[Any]
    seen: npt.NDArray[Any]
    label: npt.NDArray[np.str_]
    called: npt.NDArray[np.str_]
    groups: npt.NDArray[np.str_] | None = None


def cosines(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> Doubles:
    """Cosine of each row of `a` with that of `b`, `(n,)`.

    Raises
    ------
    InputError
        A value that is not finite.
    """
    X, Y = as_pair(a, b)
    lengths = np.linalg.norm(X, axis=1) * np.linalg.norm(Y, axis=1)
    found: Doubles = (X * Y).sum(axis=1) / np.maximum(lengths, np.finfo(np.float64).tiny)
    return found


def class_mates(label: npt.NDArray[np.str_], rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """For each row another one of its class, at random; -1 for the only one of its class."""
    mate = np.full(len(label), -1, dtype=np.intp)
    for name in np.unique(label):
        rows = rng.permutation(np.flatnonzero(label == name))
        if len(rows) > 1:
            mate[rows] = np.roll(rows, 1)
    return mate


def judge_drawn(
    drawn: Drawn,
    real: npt.NDArray[Any],
    *,
    real_groups: npt.NDArray[np.str_] | None = None,
    seed: int,
    confidence: float = 0.95,
    n_bootstrap: int = 1000,
) -> list[dict[str, Any]]:
    """One row for each of `MEASURES`, with its bootstrap interval.

    Parameters
    ----------
    drawn
        What is judged.
    real
        Vectors of held-out real cells, shrunk to the size of the images, `(m, d)`. The Fréchet
        distance takes as many rows of either side, since its bias depends on their number.
    real_groups
        Their groups `(m,)`. Of fewer than `MIN_GROUPS` groups there is no interval.
    seed
        Of the control's pairs, the rows taken and the resamples.
    confidence
        Coverage of the percentile intervals.
    n_bootstrap
        Resamples.

    Returns
    -------
    list of dict
        `cells, measure, value, low, high, n`; the value is NaN where there is nothing to measure.
    """
    rng = np.random.default_rng(seed)
    mate = class_mates(drawn.label, rng)
    own, paired = np.arange(len(mate)), mate >= 0
    values = {
        "cosine": (cosines(drawn.asked, drawn.seen), own),
        "control": (
            cosines(drawn.asked[paired], drawn.seen[mate[paired]]) if paired.any() else own[:0],
            own[paired],
        ),
        "class_agreement": ((drawn.called == drawn.label).astype(np.float64), own),
    }
    tail = (1 - confidence) / 2

    def row(measure: str, value: float, draws: Doubles, n: int) -> dict[str, Any]:
        kept = draws[np.isfinite(draws)]
        low, high = np.quantile(kept, [tail, 1 - tail]) if len(kept) else (np.nan, np.nan)
        return {
            "cells": drawn.cells,
            "measure": measure,
            "value": float(value),
            "low": float(low),
            "high": float(high),
            "n": n,
        }

    def counts(rows: npt.NDArray[np.intp], groups: npt.NDArray[np.str_] | None) -> Any:
        own = None if groups is None else groups[rows]
        if own is not None and len(np.unique(own)) < MIN_GROUPS:
            return np.full((len(rows), n_bootstrap), np.nan, dtype=np.float32)
        return bootstrap_counts(len(rows), n_bootstrap, rng, own)

    found = []
    for measure, (each, rows) in values.items():
        draws = resampled_means(each, counts(rows, drawn.groups)) if len(rows) else np.empty(0)
        found.append(row(measure, each.mean() if len(rows) else np.nan, draws, len(rows)))
    n = min(len(real), len(drawn.seen))
    if n < 2:
        return [*found, row("frechet", np.nan, np.empty(0), n)]
    some_real, some = (rng.permutation(len(X))[:n] for X in (real, drawn.seen))
    X, Y = as_pair(real[some_real], drawn.seen[some], minimum=2)
    # The first-order expansion: resamples repeat rows, and their covariances are too poor in rank.
    value, of_real, of_drawn = frechet_influences(Moments.of(X), Moments.of(Y))
    draws = value + resampled_means(of_real, counts(some_real, real_groups))
    draws = np.maximum(0, draws + resampled_means(of_drawn, counts(some, drawn.groups)))
    return [*found, row("frechet", value, draws, n)]
