"""Random order: what every strategy has to beat."""

from __future__ import annotations

import numpy as np

from bloomdiff.selection.base import STRATEGIES, Ranking, Situation, Strategy


@STRATEGIES.register("random")
class RandomChoice(Strategy):
    """Every cell of the pool with equal chance."""

    name = "random"
    summary = "every cell with equal chance"

    def rank(self, situation: Situation, n: int) -> Ranking:
        """Draw `n` rows without replacement."""
        draw = situation.rng().permutation(len(situation.X))
        return Ranking.of(draw[:n], "random", score=np.zeros(n))
