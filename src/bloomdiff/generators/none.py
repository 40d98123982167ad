"""No synthetic rows at all: the real-only baseline of the ratio sweep."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
import numpy.typing as npt

from bloomdiff.data.embedding_set import Floats
from bloomdiff.errors import ParameterError
from bloomdiff.generators.base import GENERATORS, Arrays, Generator


@GENERATORS.register("none")
class NoneGenerator(Generator):
    """Learns nothing and samples nothing; it exists so that ratio 0 has a name of its own.

    `sample` of no rows gives `(0, d)`; of any row it raises `ParameterError`.
    """

    name = "none"
    whitens = False

    def _fit(self, X: Floats, y: npt.NDArray[np.intp], X_unlabelled: Floats | None) -> None:
        """Nothing to learn."""

    def _sample_class(self, index: int, n: int, rng: np.random.Generator) -> NoReturn:
        raise ParameterError(
            "generator 'none'", f"was asked for {n} rows", "use it at ratio 0 only"
        )

    def _state(self) -> Arrays:
        # safetensors files need at least one tensor to be worth a checksum.
        return {"dim": np.asarray([self.dim_], dtype=np.int64)}

    def _restore(self, state: Arrays) -> None:
        """Nothing to take back."""
