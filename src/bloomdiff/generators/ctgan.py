"""CTGAN and TVAE: a generative adversarial network and a variational autoencoder for tables."""

from __future__ import annotations

import sys
from abc import abstractmethod
from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field

from bloomdiff.generators.base import GENERATORS
from bloomdiff.generators.blocks import BLOCK
from bloomdiff.generators.components import ComponentsParams, Doubles, Indices
from bloomdiff.generators.tabular import TabularGenerator, bench_library

BATCH = 500
"""Rows of a training step, the library's default."""
TRIES = 20
"""Times that a block of rows is drawn to find those of one class."""
_LABEL = "label"


class CtganParams(ComponentsParams):
    """Hyper-parameters of CTGAN and TVAE; the rest are the library's defaults."""

    epochs: int = Field(default=300, ge=1, description="passes over the rows, 500 to a step")


class _TableNetwork(TabularGenerator):
    """Learns the components together with a column that holds the class.

    Every class is repeated to the rows of the largest, and all together to one step's at least:
    rare classes would else hardly be generated. Neither network gives exactly the classes asked
    for, so rows are drawn until enough carry the class; where `TRIES` blocks hold too few, those
    rows that lie nearest to the class mean are taken in addition.
    """

    Params = CtganParams
    params: CtganParams
    library = "ctgan"

    @abstractmethod
    def _empty(self) -> Any:
        """The library's model, untrained."""

    def _options(self) -> dict[str, Any]:
        # Told to be verbose, the library shows a progress bar, on whatever standard error is.
        return {
            "epochs": self.params.epochs,
            "enable_gpu": self.device != "cpu",
            "verbose": sys.stderr.isatty(),
        }

    @abstractmethod
    def _candidates(self, model: Any, label: str) -> pd.DataFrame:
        """`BLOCK` rows, of this class if the network can be asked for one."""

    @staticmethod
    def search_space(trial: Any) -> dict[str, Any]:
        """Suggest the components and the length of training."""
        return {
            "n_components": trial.suggest_categorical("n_components", [8, 16, 32]),
            "epochs": trial.suggest_int("epochs", 100, 1000, log=True),
        }

    def _train(self, scores: Doubles, y: Indices) -> Any:
        counts = np.bincount(y)
        each = max(counts.max(), -(-BATCH // len(counts)))
        rows = np.concatenate([np.resize(np.flatnonzero(y == c), each) for c in range(len(counts))])
        table = pd.DataFrame(scores[rows], columns=[str(i) for i in range(scores.shape[1])])
        table[_LABEL] = y[rows].astype(str)
        model = self._empty()
        model.set_random_state(self.seed)
        model.fit(table, [_LABEL])
        return model

    def _draw(self, model: Any, index: int, seed: int) -> Doubles:
        model.set_random_state(seed)
        found, others, n = [], [], 0
        for _ in range(TRIES):
            table = self._candidates(model, str(index))
            scores = table.drop(columns=_LABEL).to_numpy(dtype=np.float64)
            of_class = (table[_LABEL] == str(index)).to_numpy()
            found.append(scores[of_class])
            others.append(scores[~of_class])
            n += int(of_class.sum())
            if n >= BLOCK:
                return np.concatenate(found)[:BLOCK]
        rest = np.concatenate(others)
        distance = ((rest - self._scores[self._y == index].mean(axis=0)) ** 2).sum(axis=1)
        nearest = np.argsort(distance, kind="stable")[: BLOCK - n]
        return np.concatenate([*found, rest[nearest]])


@GENERATORS.register("ctgan")
class CtganGenerator(_TableNetwork):
    """CTGAN (Xu et al. 2019, arXiv:1907.00503) by the library `ctgan`, conditioned on the class."""

    name = "ctgan"

    def _empty(self) -> Any:
        return bench_library(self.library, self.name).CTGAN(**self._options())

    def _candidates(self, model: Any, label: str) -> pd.DataFrame:
        return model.sample(BLOCK, _LABEL, label)


@GENERATORS.register("tvae")
class TvaeGenerator(_TableNetwork):
    """TVAE (Xu et al. 2019, arXiv:1907.00503) by the library `ctgan`."""

    name = "tvae"

    def _empty(self) -> Any:
        return bench_library(self.library, self.name).TVAE(**self._options())

    def _candidates(self, model: Any, label: str) -> pd.DataFrame:
        return model.sample(BLOCK)
