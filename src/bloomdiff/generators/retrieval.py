"""Real rows of the unlabelled pool, fetched by nearest neighbour."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bloomdiff.data.embedding_set import Floats
from bloomdiff.data.view_whitening import ViewWhitening
from bloomdiff.generators.base import GENERATORS, Arrays, Generator, GeneratorParams


class RetrievalParams(GeneratorParams):
    """Hyper-parameters of the retrieval."""

    k_neighbors: int = Field(default=3, ge=1, description="pool rows that each row fetches")


@GENERATORS.register("retrieval")
class RetrievalGenerator(Generator):
    """A random one of the pool's `k_neighbors` nearest rows to a random row of the class.

    The test that any generator which may use a pool must pass: cells that are there already cost
    nothing to make. Without a pool the training rows are their own neighbours, and the generator
    is random oversampling. Neighbours are sought in the units of the cells' views, where there are
    any; what they fetch are the pool's rows to the bit.
    """

    name = "retrieval"
    Params = RetrievalParams
    params: RetrievalParams

    @staticmethod
    def search_space(trial: Any) -> dict[str, Any]:
        """Suggest the number of neighbours."""
        return {"k_neighbors": trial.suggest_int("k_neighbors", 1, 20)}

    def _fit_whitened(
        self,
        X: Floats,
        y: npt.NDArray[np.intp],
        X_unlabelled: Floats | None,
        whitening: ViewWhitening | None,
    ) -> None:
        super()._fit_whitened(X, y, X_unlabelled, whitening)
        # Back from the units of the views a row would have other last bits.
        self._outwards = None
        self._pool = X if X_unlabelled is None or len(X_unlabelled) == 0 else X_unlabelled

    def _fit(self, X: Floats, y: npt.NDArray[np.intp], X_unlabelled: Floats | None) -> None:
        from sklearn.neighbors import NearestNeighbors

        self._y = y
        if X_unlabelled is None or len(X_unlabelled) == 0:
            self._near = np.arange(len(X))[:, None]
            return
        search = NearestNeighbors(n_neighbors=min(self.params.k_neighbors, len(X_unlabelled)))
        self._near = search.fit(X_unlabelled).kneighbors(X, return_distance=False)

    def _sample_class(self, index: int, n: int, rng: np.random.Generator) -> Floats:
        near = self._near[self._y == index].reshape(-1)
        return self._pool[near[rng.integers(len(near), size=n)]]

    def _state(self) -> Arrays:
        return {
            "pool": self._pool,
            "near": self._near.astype(np.int64),
            "y": self._y.astype(np.int64),
        }

    def _restore(self, state: Arrays) -> None:
        self._pool = state["pool"]
        self._near = state["near"].astype(np.intp)
        self._y = state["y"].astype(np.intp)
