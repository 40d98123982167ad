"""Entropy where many cells are alike."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from bloomdiff.selection.base import STRATEGIES, Ranking, Situation, Strategy, StrategyParams
from bloomdiff.selection.geometry import Doubles, Floats
from bloomdiff.selection.strategies.uncertainty import entropy


class DensityEntropyParams(StrategyParams):
    """Options of density-weighted entropy.

    Attributes
    ----------
    beta
        Power of the density.
    """

    beta: float = Field(default=1.0, ge=0)


@STRATEGIES.register("density-entropy")
class DensityEntropy(Strategy):
    """Entropy times the mean cosine to the pool (Settles and Craven 2008, ACL D08-1112)."""

    name = "density-entropy"
    summary = "disputed cells that many others are like"
    needs_classes = True
    Params = DensityEntropyParams
    params: DensityEntropyParams

    def rank(self, situation: Situation, n: int) -> Ranking:
        """Rank by the product."""
        spread, density = entropy(situation.proba), mean_cosine(situation.directions)
        score = spread * density**self.params.beta
        return Ranking.by_score(score, n, "disputed", entropy=spread, density=density)


def mean_cosine(directions: Floats) -> Doubles:
    """Mean cosine of each row of length 1 to all rows, at least 0, `(n,)`.

    The mean of inner products is the inner product with the mean: no pair is looked at.
    """
    mean = directions.mean(axis=0, dtype=np.float64).astype(np.float32)
    return np.maximum(directions @ mean, 0).astype(np.float64)
