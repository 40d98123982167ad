"""A method for few dimensions in many: principal components in front, a Gaussian for the rest."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bloomdiff.data.embedding_set import Floats
from bloomdiff.diffusion.whitening import class_means, residual_covariance
from bloomdiff.generators.base import GeneratorParams
from bloomdiff.generators.blocks import BLOCK, in_blocks
from bloomdiff.generators.rows import RowsGenerator

Doubles = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


class ComponentsParams(GeneratorParams):
    """Hyper-parameters that all methods for few dimensions have."""

    n_components: int = Field(
        default=16, ge=1, description="leading principal components that the method models"
    )


class ComponentsGenerator(RowsGenerator):
    """Models the leading principal components of the training rows.

    What is left of each row is drawn from its Gaussian given the components: that of the class
    means and of the covariance pooled within the classes, as `GaussianGenerator` has it.
    """

    params: ComponentsParams
    _model: Any

    @abstractmethod
    def _train(self, scores: Doubles, y: Indices) -> Any:
        """A model of components `(n, k)` and class indices `(n,)`."""

    @abstractmethod
    def _draw(self, model: Any, index: int, seed: int) -> Doubles:
        """Components `(BLOCK, k)` of one class."""

    def _fit(self, X: Floats, y: Indices, X_unlabelled: Floats | None) -> None:
        super()._fit(X, y, X_unlabelled)
        self._model = self._train(self._scores, self._y)

    def _prepare(self) -> None:
        self._model = None
        self._mean = self._X.mean(axis=0, dtype=np.float64)
        centred = self._X - self._mean
        axes = np.linalg.svd(centred, full_matrices=False)[2]
        self._axes: Doubles = axes[: self.params.n_components]
        self._scores: Doubles = centred @ self._axes.T
        self._means = class_means(centred, self._y, len(self.classes_))
        self._slope, self._factor = self._rest_given_components()

    def _rest_given_components(self) -> tuple[Doubles, Doubles]:
        """Slope `(k, d)` of the rest on the components, and a factor `(d, d)` of its covariance."""
        covariance = residual_covariance(self._X, self._y)
        front = self._axes @ covariance
        # The slope carries the components themselves along with the rest.
        slope = np.linalg.pinv(front @ self._axes.T, hermitian=True) @ front
        value, vector = np.linalg.eigh(covariance - slope.T @ front)
        return slope, (vector * np.sqrt(np.maximum(value, 0))).T

    def _sample_class(self, index: int, n: int, rng: np.random.Generator) -> Floats:
        own = self._means[index]

        def draw() -> Floats:
            scores = self._draw(self._model, index, int(rng.integers(2**31)))
            noise = rng.standard_normal((BLOCK, self.dim_)) @ self._factor
            moved = (scores - own @ self._axes.T) @ self._slope
            return (self._mean + own + moved + noise).astype(np.float32)

        return in_blocks(n, draw)
