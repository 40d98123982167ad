"""One Gaussian a class, all with the same shrunk covariance."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bloomdiff.data.embedding_set import Floats
from bloomdiff.diffusion.whitening import class_means, residual_covariance
from bloomdiff.generators.base import GENERATORS, Arrays, Generator, GeneratorParams
from bloomdiff.generators.blocks import BLOCK, in_blocks


class GaussianParams(GeneratorParams):
    """Hyper-parameters of the class Gaussian."""

    shrinkage: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="weight of the scaled identity; None: Ledoit and Wolf's estimate",
    )


@GENERATORS.register("gaussian")
class GaussianGenerator(Generator):
    """Class means with a covariance pooled within the classes and shrunk.

    The covariance is of the rows about their class means, scaled by n / (n - c) for the means
    that were estimated, and shrunk towards a multiple of the identity (Ledoit and Wolf 2004,
    doi:10.1016/S0047-259X(03)00096-4). A class of one row thus borrows the spread of the others.
    Where no class has two rows, the spread is that about the overall mean.
    """

    name = "gaussian"
    Params = GaussianParams
    params: GaussianParams

    @staticmethod
    def search_space(trial: Any) -> dict[str, Any]:
        """Suggest the shrinkage."""
        choices = [None, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0]
        return {"shrinkage": trial.suggest_categorical("shrinkage", choices)}

    def _fit(self, X: Floats, y: npt.NDArray[np.intp], X_unlabelled: Floats | None) -> None:
        self._means = class_means(X, y, len(self.classes_)).astype(np.float32)
        covariance = residual_covariance(X, y, shrinkage=self.params.shrinkage)
        value, vector = np.linalg.eigh(covariance)
        factor = (vector * np.sqrt(np.maximum(value, 0))).T
        self._factor = np.ascontiguousarray(factor, dtype=np.float32)  # as a saved one is read

    def _sample_class(self, index: int, n: int, rng: np.random.Generator) -> Floats:
        def draw() -> Floats:
            z = rng.standard_normal((BLOCK, self.dim_), dtype=np.float32)
            return self._means[index] + z @ self._factor

        return in_blocks(n, draw)

    def _state(self) -> Arrays:
        return {"means": self._means, "factor": self._factor}

    def _restore(self, state: Arrays) -> None:
        self._means, self._factor = state["means"], state["factor"]
