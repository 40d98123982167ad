"""Errors weighed by lineage: a blast called a lymphocyte is worse than a band called segmented.

The weights are a laboratory's choice, not a law of nature: they come from the parameters, and a
cost is comparable only under the same matrix.

Reference: Elkan (2001), The foundations of cost-sensitive learning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bloomdiff.errors import ParameterError

Doubles = npt.NDArray[np.float64]


def lineage_costs(
    classes: Sequence[str],
    lineages: Mapping[str, Sequence[str]],
    *,
    within: float = 1.0,
    across: float = 3.0,
    overrides: Sequence[tuple[str, str, float]] = (),
) -> Doubles:
    """A cost matrix from a map of lineages.

    Parameters
    ----------
    classes
        Class names `(c,)`.
    lineages
        Lineage to its classes; a class in none is a lineage of its own.
    within, across
        Cost of a confusion inside a lineage and between two.
    overrides
        `(true, predicted, cost)`, for single pairs such as a missed blast.

    Returns
    -------
    ndarray
        float64 `(c, c)`; row: true class, column: predicted class; zero on the diagonal.

    Raises
    ------
    ParameterError
        An unknown class, a class in two lineages, or a cost below zero.
    """
    position = {name: index for index, name in enumerate(classes)}
    lineage = np.arange(len(classes)) + len(lineages)
    for number, (name, members) in enumerate(lineages.items()):
        for member in members:
            index = _known(member, position, f"lineage {name!r}")
            if lineage[index] < len(lineages):
                raise ParameterError(
                    f"lineage {name!r}", f"class {member!r} is in two lineages", "keep it in one"
                )
            lineage[index] = number
    costs = np.where(lineage[:, None] == lineage, within, across).astype(np.float64)
    for true, predicted, cost in overrides:
        row, column = (_known(one, position, "cost override") for one in (true, predicted))
        costs[row, column] = cost
    np.fill_diagonal(costs, 0.0)
    if not (np.isfinite(costs) & (costs >= 0)).all():
        raise ParameterError("costs", "a cost is below zero or not finite", "give 0 or more")
    return costs


def _known(name: str, position: Mapping[str, int], where: str) -> int:
    if name not in position:
        raise ParameterError(where, f"unknown class {name!r}", f"use one of: {', '.join(position)}")
    return position[name]


def mean_cost(confusion: npt.NDArray[np.integer[Any]], costs: Doubles) -> float:
    """Mean cost of a cell under a confusion matrix of counts `(c, c)`; 0 is best.

    Parameters
    ----------
    confusion
        Counts; row: true class, column: predicted class.
    costs
        Of `lineage_costs`, in the same order of classes.
    """
    if confusion.shape != costs.shape:
        raise ValueError(f"confusion {confusion.shape} and costs {costs.shape} disagree")
    if confusion.sum() == 0:
        raise ValueError("the confusion matrix counts no cell")
    return float((confusion * costs).sum() / confusion.sum())


def cheapest_class(proba: Doubles, costs: Doubles) -> npt.NDArray[np.intp]:
    """The class of least expected cost for each row of probabilities `(n, c)`, `(n,)`."""
    return np.asarray(np.argmin(proba @ costs, axis=1), dtype=np.intp)
