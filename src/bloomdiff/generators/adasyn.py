"""ADASYN (He et al. 2008, doi:10.1109/IJCNN.2008.4633969), class by class."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from bloomdiff.generators.base import GENERATORS, GeneratorParams
from bloomdiff.generators.interpolation import InterpolationGenerator, Segments, nearest_rows


class AdasynParams(GeneratorParams):
    """Hyper-parameters of ADASYN."""

    n_neighbors: int = Field(default=5, ge=1, description="neighbours, foreign and own alike")


@GENERATORS.register("adasyn")
class AdasynGenerator(InterpolationGenerator):
    """SMOTE that starts from a row as often as its neighbours are of other classes.

    A class without any foreign neighbour is sampled as by SMOTE, where imbalanced-learn refuses.
    """

    name = "adasyn"
    Params = AdasynParams
    params: AdasynParams

    @staticmethod
    def search_space(trial: Any) -> dict[str, Any]:
        """Suggest the number of neighbours."""
        return {"n_neighbors": trial.suggest_int("n_neighbors", 1, 15)}

    def _segments_of(self, index: int) -> Segments:
        base = self._rows_of(index)
        k = self.params.n_neighbors
        around = nearest_rows(self._X, base, np.arange(len(self._X)), k)
        foreign = ((self._y[around] != index) & (around >= 0)).mean(axis=1)
        weight = foreign if foreign.any() else np.ones(len(base))
        return Segments(base, weight, nearest_rows(self._X, base, base, k))
