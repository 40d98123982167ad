"""Metrics that see labels: whether the rows of a class look like that class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bloomdiff.metrics.base import METRICS, Score, metric
from bloomdiff.metrics.bootstrap import MIN_GROUPS, resampled_means
from bloomdiff.metrics.kernels import mmd2_score

if TYPE_CHECKING:
    from bloomdiff.metrics.set_comparison import SetComparison


@metric("conditional_mmd", "Class-conditional Gaussian MMD²", better="lower", family="conditional")
def _conditional_mmd(comparison: SetComparison) -> Score:
    """Mean of the classes' MMD², weighted by their held-out rows; small classes are left out.

    So are classes on too few slides for an interval, where others are on enough.
    """
    needed = METRICS["gaussian_mmd"].minimum
    parts = {
        name: part
        for name, part in comparison.by_class.items()
        if min(len(part.synthetic), len(part.reference.test)) >= needed
    }
    if not parts:
        return Score(float("nan"), note=f"too few: no class has {needed} rows on both sides")
    labels = comparison.reference.y_test
    small = 0 if labels is None else len(np.unique(labels)) - len(parts)
    notes = [f"{small} classes with fewer than {needed} rows left out"] if small else []
    on_slides = [n for n, part in parts.items() if part.reference.n_test_groups >= MIN_GROUPS]
    if on_slides and len(on_slides) < len(parts):
        notes.append(f"{len(parts) - len(on_slides)} on fewer than {MIN_GROUPS} slides left out")
        parts = {name: parts[name] for name in on_slides}
    elif not on_slides and comparison.reference.n_test_groups >= MIN_GROUPS:
        notes.append(f"no interval: no class is on {MIN_GROUPS} slides")
    scores = [mmd2_score(part, "gaussian") for part in parts.values()]
    sizes = np.array([len(part.reference.test) for part in parts.values()], dtype=np.float64)
    weights = sizes / sizes.sum()
    value = float(weights @ [score.value for score in scores])
    return Score(value, weights @ np.stack([score.draws for score in scores]), "; ".join(notes))


@metric("label_agreement", "Label agreement", better="higher", family="conditional")
def _label_agreement(comparison: SetComparison) -> Score:
    """Share of synthetic rows whose label leads among their k nearest held-out rows (or ties)."""
    labels = comparison.reference.y_test
    if comparison.y is None or labels is None:
        return Score(float("nan"), note="needs labels")
    names, codes = np.unique(np.concatenate([labels, comparison.y]), return_inverse=True)
    held_out, own = codes[: len(labels)], codes[len(labels) :]
    index = comparison.to_test[1]
    votes = np.zeros((len(own), len(names)), dtype=np.intp)
    for column in index.T:
        found = column >= 0
        votes[np.flatnonzero(found), held_out[column[found]]] += 1
    agrees = votes[np.arange(len(own)), own] == votes.max(axis=1)
    return Score(float(agrees.mean()), resampled_means(agrees, comparison.counts))
