"""Distribution calibration (Yang et al. 2021, arXiv:2101.06395): near classes lend theirs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bloomdiff.data.embedding_set import Floats
from bloomdiff.diffusion.whitening import class_means
from bloomdiff.generators.base import GENERATORS, GeneratorParams
from bloomdiff.generators.blocks import BLOCK, in_blocks
from bloomdiff.generators.rows import RowsGenerator


class CalibrationParams(GeneratorParams):
    """Hyper-parameters of distribution calibration."""

    k_bases: int = Field(default=2, ge=1, description="common classes that lend their statistics")
    min_base_rows: int = Field(default=20, ge=2, description="rows from which a class is common")
    alpha: float = Field(
        default=0.2, ge=0, description="added to every covariance, in mean variances of the bases"
    )


@GENERATORS.register("distribution-calibration")
class CalibrationGenerator(RowsGenerator):
    """Gaussians about the rows of rare classes, their statistics averaged with near common classes.

    Each row x of a rare class gets the Gaussian whose mean is the average of x and the means of
    the `k_bases` common classes nearest to it, and whose covariance is the average of theirs plus
    `alpha`, in units of the mean variance, on its diagonal. A common class is sampled from its own
    mean and covariance, with the same on the diagonal. Where no class is common, all are taken to
    be. The power transform of the paper is left out: it needs features that are never negative.
    """

    name = "distribution-calibration"
    Params = CalibrationParams
    params: CalibrationParams

    @staticmethod
    def search_space(trial: Any) -> dict[str, Any]:
        """Suggest the number of bases and what is added."""
        return {
            "k_bases": trial.suggest_int("k_bases", 1, 4),
            "alpha": trial.suggest_float("alpha", 0.01, 1.0, log=True),
        }

    def _prepare(self) -> None:
        counts = np.bincount(self._y, minlength=len(self.classes_))
        common = counts >= self.params.min_base_rows
        self._bases: npt.NDArray[np.intp] = np.flatnonzero(
            common if common.any() else np.ones_like(common)
        )
        self._means = class_means(self._X, self._y, len(counts))
        self._covariances = np.stack([self._covariance(c) for c in self._bases])
        trace = np.trace(self._covariances, axis1=1, axis2=2).mean()
        self._ridge = self.params.alpha * trace / self.dim_

    def _covariance(self, index: np.intp) -> npt.NDArray[np.float64]:
        residual = self._X[self._y == index] - self._means[index]
        return residual.T @ residual / max(len(residual) - 1, 1)

    def _sample_class(self, index: int, n: int, rng: np.random.Generator) -> Floats:
        if index in self._bases:
            means = self._means[index][None]
            covariances = self._covariances[self._bases == index]
        else:
            means, covariances = self._calibrated(self._X[self._y == index])
        value, vector = np.linalg.eigh(covariances + self._ridge * np.eye(self.dim_))
        factors = vector * np.sqrt(np.maximum(value, 0))[:, None, :]

        def draw() -> Floats:
            chosen = rng.integers(len(means), size=BLOCK)
            z = rng.standard_normal((BLOCK, self.dim_))
            out = means[chosen]
            for i in range(len(means)):
                # Every product has one shape, so that a row's bits do not hang on its neighbours.
                out += np.where(chosen[:, None] == i, z @ factors[i].T, 0)
            return out.astype(np.float32)

        return in_blocks(n, draw)

    def _calibrated(self, rows: Floats) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Mean `(m, d)` and covariance `(m, d, d)` for each row of a rare class."""
        base_means = self._means[self._bases]
        distance = ((rows[:, None] - base_means[None]) ** 2).sum(axis=2)
        near = np.argsort(distance, axis=1, kind="stable")[:, : self.params.k_bases]
        means = (base_means[near].sum(axis=1) + rows) / (near.shape[1] + 1)
        return means, self._covariances[near].mean(axis=1)
