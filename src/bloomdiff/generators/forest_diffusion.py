"""ForestDiffusion: flow matching with gradient-boosted trees."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from pydantic import Field

from bloomdiff.generators.base import GENERATORS
from bloomdiff.generators.blocks import BLOCK
from bloomdiff.generators.components import ComponentsParams, Doubles, Indices
from bloomdiff.generators.tabular import TabularGenerator, bench_library


class ForestDiffusionParams(ComponentsParams):
    """Hyper-parameters of ForestDiffusion; but for the components, the library's defaults."""

    n_t: int = Field(default=50, ge=2, description="noise levels, each with trees of its own")
    duplicate_k: int = Field(default=100, ge=1, description="noise samples of each row")
    n_estimators: int = Field(default=100, ge=1, description="boosting rounds")
    max_depth: int = Field(default=7, ge=1, description="of a tree")


@GENERATORS.register("forest-diffusion")
class ForestDiffusionGenerator(TabularGenerator):
    """ForestDiffusion (Jolicoeur-Martineau et al. 2024, arXiv:2309.09968) by its own library.

    Each class has its own trees at each noise level; the time grows with classes, levels,
    components and rows. Run on the leading components (see `ComponentsGenerator`).
    """

    name = "forest-diffusion"
    Params = ForestDiffusionParams
    params: ForestDiffusionParams
    library = "ForestDiffusion"

    @staticmethod
    def search_space(trial: Any) -> dict[str, Any]:
        """Suggest the size of the forest."""
        return {
            "n_components": trial.suggest_categorical("n_components", [8, 16, 32]),
            "n_estimators": trial.suggest_int("n_estimators", 20, 100, log=True),
            "max_depth": trial.suggest_int("max_depth", 3, 7),
        }

    def _train(self, scores: Doubles, y: Indices) -> Any:
        params = self.params
        # The library stumbles over a single column: a constant one beside it changes nothing.
        padded = np.pad(scores, ((0, 0), (0, max(0, 2 - scores.shape[1]))))
        with _legacy_random_state(self.seed):
            return bench_library(self.library, self.name).ForestDiffusionModel(
                padded,
                label_y=y,
                n_t=params.n_t,
                duplicate_K=params.duplicate_k,
                n_estimators=params.n_estimators,
                max_depth=params.max_depth,
                n_jobs=1,
                nthread=1,
                seed=self.seed,
            )

    def _draw(self, model: Any, index: int, seed: int) -> Doubles:
        # The library draws the classes by their frequencies: all of it to one class.
        model.y_probs = (model.y_uniques == index).astype(float)
        with _legacy_random_state(seed):
            rows = model.generate(batch_size=BLOCK)
        return rows[:, : self._scores.shape[1]].astype(np.float64)


@contextmanager
def _legacy_random_state(seed: int) -> Iterator[None]:
    """The library draws from numpy's global state: seed it, and leave it as it was."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
