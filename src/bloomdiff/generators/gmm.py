"""A mixture of Gaussians a class, in the whitened space that all classes share."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bloomdiff.data.embedding_set import Floats
from bloomdiff.diffusion.whitening import Whitening
from bloomdiff.generators.base import GENERATORS, Arrays, Generator, GeneratorParams
from bloomdiff.generators.blocks import BLOCK, in_blocks

ROWS_PER_COMPONENT = 10


class GmmParams(GeneratorParams):
    """Hyper-parameters of the mixture."""

    n_components: int = Field(default=3, ge=1, description="Gaussians a class, at most")
    prior_rows: float = Field(
        default=20, gt=0, description="rows that the shared covariance counts for in each Gaussian"
    )


@GENERATORS.register("gmm")
class GmmGenerator(Generator):
    """Diagonal Gaussians, fitted by scikit-learn on residuals whitened within the classes.

    A class gets one Gaussian per ten rows, at most `n_components`; the variances of each are
    averaged with the shared ones, which count for `prior_rows` rows.
    """

    name = "gmm"
    Params = GmmParams
    params: GmmParams

    @staticmethod
    def search_space(trial: Any) -> dict[str, Any]:
        """Suggest the number of Gaussians and the weight of the shared covariance."""
        return {
            "n_components": trial.suggest_int("n_components", 1, 8),
            "prior_rows": trial.suggest_float("prior_rows", 1.0, 200.0, log=True),
        }

    def _fit(self, X: Floats, y: npt.NDArray[np.intp], X_unlabelled: Floats | None) -> None:
        self._whitening = Whitening.fit(X, y)
        k, c, d = self.params.n_components, len(self.classes_), self.dim_
        self._weights = np.zeros((c, k))
        self._centres = np.zeros((c, k, d))
        self._deviations = np.ones((c, k, d))
        for index in range(c):
            offset = X[y == index] - self._whitening.means[index]
            self._fit_class(index, self._whitening.whiten(offset))

    def _fit_class(self, index: int, Z: npt.NDArray[np.float64]) -> None:
        from sklearn.mixture import GaussianMixture

        k = min(self.params.n_components, max(1, len(Z) // ROWS_PER_COMPONENT))
        if len(Z) < 2:
            self._weights[index, 0] = 1
            return
        mixture = GaussianMixture(
            k, covariance_type="diag", reg_covar=1e-3, random_state=self.seed
        ).fit(Z)
        rows = mixture.weights_[:, None] * len(Z)
        prior = self.params.prior_rows
        variance = (rows * mixture.covariances_ + prior) / (rows + prior)
        self._weights[index, :k] = mixture.weights_
        self._centres[index, :k] = mixture.means_
        self._deviations[index, :k] = np.sqrt(variance)

    def _sample_class(self, index: int, n: int, rng: np.random.Generator) -> Floats:
        def draw() -> Floats:
            chosen = rng.choice(len(self._weights[index]), size=BLOCK, p=self._weights[index])
            z = rng.standard_normal((BLOCK, self.dim_))
            Z = self._centres[index, chosen] + z * self._deviations[index, chosen]
            return self._whitening.colour(Z, index)

        return in_blocks(n, draw)

    def _state(self) -> Arrays:
        return {
            "weights": self._weights,
            "centres": self._centres,
            "deviations": self._deviations,
            "means": self._whitening.means,
            "rows": self._whitening.rows,
            "basis": self._whitening.basis,
            "scale": self._whitening.scale,
        }

    def _restore(self, state: Arrays) -> None:
        self._weights, self._centres = state["weights"], state["centres"]
        self._deviations = state["deviations"]
        self._whitening = Whitening(state["means"], state["rows"], state["basis"], state["scale"])
