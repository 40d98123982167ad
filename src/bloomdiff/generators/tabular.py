"""What the generators of tables share: libraries of the extra `bench`, and how they are kept."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType

import numpy as np

from bloomdiff.data.embedding_set import Floats
from bloomdiff.errors import ParameterError
from bloomdiff.generators.components import ComponentsGenerator, Indices


class TabularGenerator(ComponentsGenerator):
    """Hands the leading components to a library that is built for tens of columns.

    The libraries can store a fitted model as a pickle only, which is not safe to load. So the
    training rows are what is saved, and a loaded generator trains again, to the same model, when
    it is first sampled.
    """

    library: str

    def _fit(self, X: Floats, y: Indices, X_unlabelled: Floats | None) -> None:
        bench_library(self.library, self.name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            super()._fit(X, y, X_unlabelled)

    def _sample_class(self, index: int, n: int, rng: np.random.Generator) -> Floats:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if self._model is None:
                self._model = self._train(self._scores, self._y)
            return super()._sample_class(index, n, rng)


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
