"""Classes as the user labels them, and their numbers in the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bloomdiff.diffusion.centres import parent_indices
from bloomdiff.diffusion.whitening import Index


def places_of(y: Any, classes: npt.NDArray[Any]) -> Index:
    """Place of each label of `y` among the classes, `(n,)`.

    Raises
    ------
    ValueError
        A class that was not fitted, or not one class a row.
    """
    y = np.asarray(y)
    if y.ndim != 1:
        raise ValueError(f"one class a row is wanted, as in ['blast'] * 50, not {y!r}")
    place = {c: i for i, c in enumerate(classes.tolist())}
    wanted = y.tolist()
    index = [place.get(c, -1) for c in wanted]
    if -1 in index:
        unknown = wanted[index.index(-1)]
        raise ValueError(f"class {unknown!r} was not fitted; classes are {classes}")
    return np.asarray(index, dtype=np.intp)


def parents_of(classes: npt.NDArray[Any], given: Mapping[Any, Any] | None) -> Index | None:
    """Number of each class's parent, `(c,)`; None where none are given.

    Raises
    ------
    ValueError
        The parent of a class that there is none of, while a class that there is has no entry: a
        name misspelt. Where every class has one, the others are those that a fold lacks.
    ParameterError
        A parent that is neither text nor missing.
    """
    if given is None:
        return None
    names = [str(c) for c in classes]
    parents = {str(c): parent for c, parent in given.items()}
    unknown = sorted(set(parents) - set(names))
    if unknown and not parents.keys() >= set(names):
        raise ValueError(f"parents: class {unknown[0]!r} is none of {', '.join(names)}")
    return parent_indices(names, parents)
