"""A Gaussian copula of principal components."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bloomdiff.diffusion.whitening import class_means
from bloomdiff.generators.base import GENERATORS
from bloomdiff.generators.blocks import BLOCK
from bloomdiff.generators.components import ComponentsParams, Doubles, Indices
from bloomdiff.generators.tabular import TabularGenerator, bench_library


@GENERATORS.register("gaussian-copula")
class GaussianCopulaGenerator(TabularGenerator):
    """Beta marginals joined by a Gaussian copula (Patki et al. 2016), by the library `copulas`.

    The copula is fitted to the rows about their class means, all classes together, and a class's
    mean is added to what it draws: a copula a class cannot be estimated from a few rows, and one
    that holds the class as a column ties it to the others by a single correlation.
    """

    name = "gaussian-copula"
    Params = ComponentsParams
    library = "copulas.multivariate"

    @staticmethod
    def search_space(trial: Any) -> dict[str, Any]:
        """Suggest the components."""
        return {"n_components": trial.suggest_categorical("n_components", [8, 16, 32, 64])}

    def _train(self, scores: Doubles, y: Indices) -> Any:
        univariate = bench_library("copulas.univariate", self.name)
        model = bench_library(self.library, self.name).GaussianMultivariate(
            distribution=univariate.BetaUnivariate, random_state=self.seed
        )
        self._centres = class_means(scores, y, len(self.classes_))
        residual = scores - self._centres[y]
        # With fewer than two rows there is no marginal to fit: a row twice has no spread.
        table = pd.DataFrame(residual if len(residual) > 1 else np.repeat(residual, 2, axis=0))
        model.fit(table)
        return model

    def _draw(self, model: Any, index: int, seed: int) -> Doubles:
        model.set_random_state(seed)
        return self._centres[index] + model.sample(BLOCK).to_numpy(dtype=np.float64)
