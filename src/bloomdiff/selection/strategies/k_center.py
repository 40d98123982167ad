"""Farthest-first traversal of the pool."""

from __future__ import annotations

from bloomdiff.selection.base import STRATEGIES, Ranking, Situation, Strategy
from bloomdiff.selection.geometry import farthest_first


@STRATEGIES.register("k-center")
class KCenter(Strategy):
    """Each cell is the farthest from all labelled and chosen ones (Sener and Savarese 2018).

    The greedy choice (arXiv:1708.00489, algorithm 1), at most twice as far from the optimum in
    its largest distance. The cold start is a random cell.
    """

    name = "k-center"
    summary = "each cell is the farthest from all labelled and chosen ones"

    def rank(self, situation: Situation, n: int) -> Ranking:
        """Rank by farthest-first traversal; the score is the distance when chosen."""
        first = int(situation.rng().integers(len(situation.X)))
        index, distance = farthest_first(situation.X, situation.covered, n, first)
        distance[distance == float("inf")] = distance[1] if n > 1 else 0
        return Ranking.of(index, "distant", score=distance)
