"""Errors weighed by lineage: a blast called a lymphocyte is worse than a band called segmented.

The weights are a laboratory's choice, not a law of nature: they come from the parameters, and a
cost is comparable only under the same matrix.

References
----------
Elkan (2001), The foundations of cost-sensitive learning; Bain (2015), Blood cells: a practical
guide (the order of maturation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise, product
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from bloomdiff.data.vocabulary import VOCABULARY, known_name
from bloomdiff.errors import ParameterError

Doubles = npt.NDArray[np.float64]
Cost = Annotated[float, Field(ge=0, allow_inf_nan=False)]

# Neighbours in these rows are confused by careful observers, too.
MATURATION = (
    (
        *("myeloblast", "promyelocyte", "myelocyte", "metamyelocyte"),
        *("neutrophil_band", "neutrophil_segmented"),
    ),
    ("monoblast", "monocyte"),
    ("proerythroblast", "erythroblast"),
)


class CostParams(BaseModel):
    """What a confusion costs; the diagonal is 0."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    neighbour: Cost = Field(0.5, description="two neighbouring stages of maturation")
    within: Cost = Field(1.0, description="any other two classes of one lineage")
    across: Cost = Field(3.0, description="two lineages")
    missed_blast: Cost = Field(
        10.0, description="a blast called anything that is neither a blast nor its neighbour"
    )
    pairs: tuple[tuple[str, str, Cost], ...] = Field(
        (), description="single pairs: true class, predicted class, cost"
    )


def cost_matrix(classes: Sequence[str], params: CostParams) -> Doubles:
    """Costs by lineage and maturation, as the vocabulary knows them.

    A class that the vocabulary does not know, or that is of no lineage, is a lineage of its own.

    Parameters
    ----------
    classes
        Class names `(c,)`.
    params
        The costs.

    Returns
    -------
    ndarray
        As `lineage_costs`.

    Raises
    ------
    ParameterError
        A pair names a class that is not among `classes`.
    """
    check_pairs(classes, params)
    known = {name: known_name(name) for name in classes}
    lineages: dict[str, list[str]] = {}
    blasts = set()
    for name, own in known.items():
        if not own:
            continue
        cell = VOCABULARY[own]
        if cell.lineage not in ("none", "uncommitted"):
            lineages.setdefault(cell.lineage, []).append(name)
        if "blast" in (cell.name, cell.broader):
            blasts.add(name)
    overrides = [
        (blast, name, params.missed_blast)
        for blast in sorted(blasts)
        for name in classes
        if name not in blasts
    ]
    for chain in MATURATION:
        for pair in pairwise(chain):
            # A class may be there by its name and by a code.
            names = [[name for name, own in known.items() if own == one] for one in pair]
            for one, other in product(*names):
                overrides += [(one, other, params.neighbour), (other, one, params.neighbour)]
    return lineage_costs(
        classes,
        lineages,
        within=params.within,
        across=params.across,
        overrides=[*overrides, *params.pairs],
    )


def check_pairs(classes: Sequence[str], params: CostParams) -> None:
    """Raise a `ParameterError` where a pair of `params` names a class that is not in `classes`."""
    position = {name: index for index, name in enumerate(classes)}
    for number, (true, predicted, _) in enumerate(params.pairs):
        for name in (true, predicted):
            _known(name, position, f"params.yaml: report.costs.pairs.{number}")


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
