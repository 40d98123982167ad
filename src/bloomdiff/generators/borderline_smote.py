"""Borderline-SMOTE, first kind (Han et al. 2005, doi:10.1007/11538059_91)."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from bloomdiff.generators.base import GENERATORS
from bloomdiff.generators.interpolation import InterpolationGenerator, Segments, nearest_rows
from bloomdiff.generators.smote import SmoteParams


class BorderlineSmoteParams(SmoteParams):
    """Hyper-parameters of Borderline-SMOTE."""

    m_neighbors: int = Field(default=10, ge=1, description="neighbours that tell who is in danger")


@GENERATORS.register("borderline-smote")
class BorderlineSmoteGenerator(InterpolationGenerator):
    """SMOTE that starts only from rows in danger.

    A row is in danger if at least half of its `m_neighbors` nearest neighbours, but not all, are
    of other classes. A class without any such row is sampled as by SMOTE, where imbalanced-learn
    would give no rows.
    """

    name = "borderline-smote"
    Params = BorderlineSmoteParams
    params: BorderlineSmoteParams

    @staticmethod
    def search_space(trial: Any) -> dict[str, Any]:
        """Suggest both numbers of neighbours."""
        return {
            "k_neighbors": trial.suggest_int("k_neighbors", 1, 15),
            "m_neighbors": trial.suggest_int("m_neighbors", 3, 30),
        }

    def _segments_of(self, index: int) -> Segments:
        rows = self._rows_of(index)
        around = nearest_rows(self._X, rows, np.arange(len(self._X)), self.params.m_neighbors)
        foreign = ((self._y[around] != index) & (around >= 0)).mean(axis=1)
        danger = (foreign >= 0.5) & (foreign < 1)
        base = rows[danger] if danger.any() else rows
        neighbours = nearest_rows(self._X, base, rows, self.params.k_neighbors)
        return Segments(base, np.ones(len(base)), neighbours)
