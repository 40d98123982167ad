"""Cells whose mean is the class's."""

from __future__ import annotations

import numpy as np

from bloomdiff.selection.base import STRATEGIES, Ranking, Situation, Strategy
from bloomdiff.selection.geometry import Doubles, Floats, Index


@STRATEGIES.register("herding")
class Herding(Strategy):
    """Class by class, the cells whose mean comes nearest to that of the class (Welling 2009).

    doi:10.1145/1553374.1553517, as exemplars are chosen in iCaRL (Rebuffi et al. 2017,
    arXiv:1611.07725). Classes are the predicted ones and take turns, the one with the fewest
    labels first; without class probabilities the pool is one class.
    """

    name = "herding"
    summary = "by predicted class, cells whose mean comes nearest to the class's"

    def rank(self, situation: Situation, n: int) -> Ranking:
        """Rank by turns of herding; the score is minus the distance to the class's mean."""
        if situation.can_classify:
            predicted, had = situation.proba.argmax(axis=1), situation.counts
        else:
            predicted, had = np.zeros(len(situation.X), dtype=np.intp), np.zeros(1, dtype=np.intp)
        X = situation.directions
        queues: list[list[tuple[int, float]]] = []
        for c in range(len(had)):
            at = np.flatnonzero(predicted == c)
            index, distance = herd(X[at], min(n, len(at)))
            queues.append([(int(at[i]), float(-d)) for i, d in zip(index, distance, strict=True)])
        had = had.copy()
        picks = []
        for _ in range(n):
            c = min((c for c in range(len(had)) if queues[c]), key=lambda c: (had[c], c))
            picks.append(queues[c].pop(0))
            had[c] += 1
        chosen, score = zip(*picks, strict=True)
        return Ranking.of(np.asarray(chosen, dtype=np.intp), "typical", score=np.asarray(score))


def herd(X: Floats, n: int) -> tuple[Index, Doubles]:
    """`n` rows of X whose running mean stays nearest to that of X, and how near it then is."""
    index, distance = np.empty(n, dtype=np.intp), np.empty(n)
    if not n:
        return index, distance
    mean = X.mean(axis=0, dtype=np.float64).astype(np.float32)
    square = np.einsum("ij,ij->i", X, X)
    total = np.zeros_like(mean)
    free = np.zeros(len(X), dtype=np.float32)
    for k in range(n):
        # |(total + x) / (k + 1) - mean|² without what is the same for all rows.
        target = (k + 1) * mean - total
        score = square - 2 * (X @ target) + free
        best = int(score.argmin())
        index[k] = best
        free[best] = np.inf
        total += X[best]
        distance[k] = float(np.linalg.norm(total / (k + 1) - mean))
    return index, distance
