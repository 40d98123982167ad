"""Diverse gradient embeddings."""

from __future__ import annotations

import numpy as np

from bloomdiff.selection.base import STRATEGIES, Ranking, Situation, Strategy
from bloomdiff.selection.geometry import Doubles, Floats


@STRATEGIES.register("badge")
class Badge(Strategy):
    """k-means++ on the gradients that each cell's likeliest label would give (Ash et al. 2020).

    arXiv:1906.03671. The gradient of a linear probe is the outer product of `p - onehot(argmax p)`
    and the embedding; its inner products are products of theirs, so that it is never written out.
    """

    name = "badge"
    summary = "diverse among the cells that would change a linear probe most"
    needs_classes = True

    def rank(self, situation: Situation, n: int) -> Ranking:
        """Rank by k-means++, the longest gradient first; the score is the squared distance."""
        X, proba, rng = situation.X, situation.proba, situation.rng()
        error = residuals(proba)
        far = squared_length(error, X)
        index, score = np.empty(n, dtype=np.intp), np.empty(n)
        length = far.copy()
        taken = np.zeros(len(X), dtype=bool)
        for i in range(n):
            if i == 0:
                best = int(far.argmax())
            else:
                total = far.sum()
                # Once all gradients are alike, what is left is drawn with equal chance.
                chance = far / total if total > 0 else (~taken) / (~taken).sum()
                best = int(rng.choice(len(X), p=chance))
            index[i], score[i] = best, far[best]
            taken[best] = True
            d2 = length + length[best] - 2 * (error @ error[best]) * (X @ X[best])
            far = np.minimum(far, np.maximum(d2, 0))
            far[taken] = 0
        return Ranking.of(index, "disputed", score=score)


def residuals(proba: Doubles) -> Doubles:
    """Probabilities `(n, c)` minus the likeliest class's indicator."""
    error = proba.copy()
    error[np.arange(len(proba)), proba.argmax(axis=1)] -= 1
    return error


def squared_length(error: Doubles, X: Floats) -> Doubles:
    """Squared length of each gradient `(n,)`."""
    return (error**2).sum(axis=1) * np.einsum("ij,ij->i", X, X).astype(np.float64)
