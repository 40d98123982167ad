"""Coverage by a smooth kernel."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from bloomdiff.selection.base import STRATEGIES, Ranking, Situation, Strategy, StrategyParams
from bloomdiff.selection.coverage import greedy_cover
from bloomdiff.selection.geometry import Floats, nearest, unit


class MaxHerdingParams(StrategyParams):
    """Options of MaxHerding.

    Attributes
    ----------
    gamma
        Of the Gaussian kernel exp(-gamma d²); 1 is the paper's for rows of length 1.
    normalise
        Whether rows are scaled to length 1 first.
    max_candidates, max_reference
        Cells that may be chosen, and cells whose coverage counts, drawn at random from a larger
        pool.
    """

    gamma: float = Field(default=1.0, gt=0)
    normalise: bool = True
    max_candidates: int = Field(default=20_000, ge=1)
    max_reference: int = Field(default=8_000, ge=1)


@STRATEGIES.register("maxherding")
class MaxHerding(Strategy):
    """Each cell raises the pool's mean similarity to its nearest label most (Bae et al. 2024).

    arXiv:2407.12212. In a pool above the limits the coverage is estimated on a random part of it.
    """

    name = "maxherding"
    summary = "each cell raises the pool's mean similarity to its nearest label most"
    Params = MaxHerdingParams
    params: MaxHerdingParams

    def rank(self, situation: Situation, n: int) -> Ranking:
        """Rank by greedy facility location; the score is the gain when chosen."""
        rng, p = situation.rng(), len(situation.X)
        limit = max(self.params.max_candidates, n)
        rows = np.arange(p) if p <= limit else np.sort(rng.choice(p, limit, replace=False))
        limit = self.params.max_reference
        judged = np.arange(p) if p <= limit else np.sort(rng.choice(p, limit, replace=False))
        scale = unit if self.params.normalise else np.asarray
        reference = scale(situation.X[judged])
        index, gain = greedy_cover(
            scale(situation.X[rows]),
            reference,
            np.ones(len(judged)),
            scale(situation.covered),
            n,
            gamma=self.params.gamma,
        )
        chosen = rows[index]
        share = stands_for(reference, scale(situation.X[chosen]))
        return Ranking.of(chosen, "typical", score=gain, stands_for=share * p / len(judged))


def stands_for(X: Floats, chosen: Floats) -> Floats:
    """How many rows of X are nearest to each of the chosen ones, `(k,)`."""
    _, at = nearest(X, chosen)
    return np.bincount(at, minlength=len(chosen)).astype(np.float32)
