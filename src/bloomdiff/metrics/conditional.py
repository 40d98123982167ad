"""Metrics that see labels: whether the rows of a class look like that class."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bloomdiff.metrics.base import METRICS, Score, metric
from bloomdiff.metrics.blocks import Singles
from bloomdiff.metrics.bootstrap import MIN_GROUPS, resampled_means
from bloomdiff.metrics.kernels import mmd2_score

if TYPE_CHECKING:
    from bloomdiff.metrics.set_comparison import SetComparison


@metric("conditional_mmd", "Class-conditional Gaussian MMD²", better="lower", family="conditional")
def _conditional_mmd(comparison: SetComparison) -> Score:
    """Mean of the classes' MMD², weighted by their held-out rows; small classes are left out.

    So are classes on too few slides for an interval, where others are on enough. A resample draws
    whole slides for all classes together: what a slide does to its cells, it does to those of each.
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
    counts, slides = comparison.reference.test_counts, comparison.reference.n_test_groups
    if not on_slides:
        counts = np.full_like(counts, np.nan)
    rows = {name: counts[labels == name] for name in parts}
    scores = [
        mmd2_score(_drawn_together(part, rows[name], slides), "gaussian")
        for name, part in parts.items()
    ]
    sizes = np.array([len(drawn) for drawn in rows.values()], dtype=np.float64)
    value = float(sizes @ [score.value for score in scores] / sizes.sum())
    draws = np.stack([score.draws for score in scores])
    # A class of which a resample has no pair says nothing in it.
    said = np.isfinite(draws)
    weight = np.stack([drawn.sum(axis=0, dtype=np.float64) for drawn in rows.values()]) * said
    with np.errstate(invalid="ignore"):
        mean = (weight * np.where(said, draws, 0)).sum(axis=0) / weight.sum(axis=0)
    return Score(value, mean, "; ".join(notes))


def _drawn_together(part: SetComparison, counts: Singles, n_groups: int) -> SetComparison:
    """A class beside its held-out rows, these with the counts that all classes share."""
    from bloomdiff.metrics.set_comparison import SetComparison

    reference = replace(part.reference, drawn=counts, n_drawn=n_groups)
    return SetComparison(reference, part.synthetic, None)


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
