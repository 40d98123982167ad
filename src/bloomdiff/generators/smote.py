"""SMOTE (Chawla et al. 2002, doi:10.1613/jair.953), class by class."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from bloomdiff.generators.base import GENERATORS, GeneratorParams
from bloomdiff.generators.interpolation import InterpolationGenerator, Segments, nearest_rows


class SmoteParams(GeneratorParams):
    """Hyper-parameters of SMOTE."""

    k_neighbors: int = Field(default=5, ge=1, description="neighbours to walk towards")


@GENERATORS.register("smote")
class SmoteGenerator(InterpolationGenerator):
    """Walks from a random row of the class towards one of its `k_neighbors` nearest in the class.

    The semantics are imbalanced-learn's, with one stated difference: where imbalanced-learn
    refuses a class with at most `k_neighbors` rows, this one uses the neighbours that there are,
    and repeats the row of a class that has a single one.
    """

    name = "smote"
    Params = SmoteParams
    params: SmoteParams

    @staticmethod
    def search_space(trial: Any) -> dict[str, Any]:
        """Suggest the number of neighbours."""
        return {"k_neighbors": trial.suggest_int("k_neighbors", 1, 15)}

    def _segments_of(self, index: int) -> Segments:
        base = self._rows_of(index)
        neighbours = nearest_rows(self._X, base, base, self.params.k_neighbors)
        return Segments(base, np.ones(len(base)), neighbours)
