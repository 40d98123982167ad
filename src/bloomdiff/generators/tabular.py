"""What the generators of tables share: principal components in front, a Gaussian for the rest."""

from __future__ import annotations

import importlib
import warnings
from abc import abstractmethod
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bloomdiff.data.embedding_set import Floats
from bloomdiff.diffusion.whitening import class_means, residual_covariance
from bloomdiff.errors import ParameterError
from bloomdiff.generators.base import GeneratorParams
from bloomdiff.generators.blocks import BLOCK, in_blocks
from bloomdiff.generators.rows import RowsGenerator

Doubles = npt.NDArray[np.float64]


class TabularParams(GeneratorParams):
    """Hyper-parameters that all generators of tables have."""

    n_components: int = Field(
        default=16, ge=1, description="leading principal components that the method models"
    )


class TabularGenerator(RowsGenerator):
    """Hands the leading principal components to a library's generator of tables.

    These libraries are built for tens of columns. They get the leading principal components of the
    training rows; what is left of each row is drawn from its Gaussian given the components: that of
    the class means and of the covariance pooled within the classes, as `GaussianGenerator` has it.

    The libraries can store a fitted model as a pickle only, which is not safe to load. So the
    training rows are what is saved, and a loaded generator trains again, to the same model, when
    it is first sampled.
    """

    params: TabularParams
    library: str
    _model: Any

    @abstractmethod
    def _train(self, scores: Doubles, y: npt.NDArray[np.intp]) -> Any:
        """The library's model of components `(n, k)` and class indices `(n,)`."""

    @abstractmethod
    def _draw(self, model: Any, index: int, seed: int) -> Doubles:
        """Components `(BLOCK, k)` of one class."""

    def _fit(self, X: Floats, y: npt.NDArray[np.intp], X_unlabelled: Floats | None) -> None:
        bench_library(self.library, self.name)
        super()._fit(X, y, X_unlabelled)
        self._model = self._trained()

    def _prepare(self) -> None:
        self._model = None
        self._mean = self._X.mean(axis=0, dtype=np.float64)
        centred = self._X - self._mean
        self._axes: Doubles = np.linalg.svd(centred, full_matrices=False)[2]
        self._axes = self._axes[: self.params.n_components]
        self._scores: Doubles = centred @ self._axes.T
        self._means = class_means(centred, self._y, len(self.classes_))
        self._slope, self._factor = self._rest_given_components()

    def _rest_given_components(self) -> tuple[Doubles, Doubles]:
        """Slope `(k, d)` of the rest on the components, and a factor `(d, d)` of its covariance."""
        A = self._axes
        covariance = residual_covariance(self._X, self._y)
        front = A @ covariance
        slope = np.linalg.pinv(front @ A.T, hermitian=True) @ front
        value, vector = np.linalg.eigh(covariance - slope.T @ front)
        # The slope carries the components themselves along with the rest.
        return slope, (vector * np.sqrt(np.maximum(value, 0))).T

    def _trained(self) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._train(self._scores, self._y)

    def _sample_class(self, index: int, n: int, rng: np.random.Generator) -> Floats:
        if self._model is None:
            self._model = self._trained()

        def draw() -> Floats:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scores = self._draw(self._model, index, int(rng.integers(2**31)))
            noise = rng.standard_normal((BLOCK, self.dim_)) @ self._factor
            own = self._means[index]
            moved = (scores - own @ self._axes.T) @ self._slope
            return (self._mean + own + moved + noise).astype(np.float32)

        return in_blocks(n, draw)


def bench_library(module: str, generator: str) -> ModuleType:
    """Import a library of the extra `bench`.

    Raises
    ------
    ParameterError
        It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ParameterError(
            f"generator {generator!r}",
            f"needs the library {error.name}, which is not installed",
            "run: pip install 'bloomdiff[bench]'",
        ) from None
