"""Random oversampling: training rows drawn again with replacement."""

from __future__ import annotations

import numpy as np

from bloomdiff.data.embedding_set import Floats
from bloomdiff.generators.base import GENERATORS
from bloomdiff.generators.rows import RowsGenerator


@GENERATORS.register("oversample")
class OversampleGenerator(RowsGenerator):
    """Repeats real rows of the class, each with equal probability."""

    name = "oversample"
    whitens = False  # a copy is a copy in any units

    def _prepare(self) -> None:
        """The rows are all there is."""

    def _sample_class(self, index: int, n: int, rng: np.random.Generator) -> Floats:
        rows = self._rows_of(index)
        return self._X[rows[rng.integers(len(rows), size=n)]]
