"""Cells of which a classifier is least sure: by confidence, margin, entropy or an ensemble.

Lewis and Gale 1994 (least confidence, arXiv:cmp-lg/9407020); Scheffer et al. 2001 (margin,
doi:10.1007/3-540-44816-0_31); Settles 2009 (entropy, and a survey of all three); Houlsby et al.
2011 (BALD, arXiv:1112.5745), here with the bootstrap ensemble of Abe and Mamitsuka 1998.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field
from scipy.special import entr

from bloomdiff.selection.base import STRATEGIES, Ranking, Situation, Strategy, StrategyParams
from bloomdiff.selection.geometry import Doubles, Index


def least_confidence(proba: Doubles) -> Doubles:
    """One minus the largest probability, `(n,)`."""
    return 1 - proba.max(axis=1)


def margin(proba: Doubles) -> Doubles:
    """One minus the lead of the likeliest class over the second, `(n,)`."""
    top = np.partition(proba, -2, axis=1)[:, -2:]
    return 1 - (top[:, 1] - top[:, 0])


def entropy(proba: Doubles) -> Doubles:
    """Entropy in nats, `(n,)`."""
    return entr(proba).sum(axis=-1)


@STRATEGIES.register("least-confidence")
class LeastConfidence(Strategy):
    """The likeliest class is least likely (Lewis and Gale 1994)."""

    name = "least-confidence"
    summary = "the likeliest class is least likely"
    needs_classes = True

    def rank(self, situation: Situation, n: int) -> Ranking:
        """Rank by `least_confidence`."""
        return Ranking.by_score(least_confidence(situation.proba), n, "disputed")


@STRATEGIES.register("margin")
class Margin(Strategy):
    """The two likeliest classes are closest (Scheffer et al. 2001)."""

    name = "margin"
    summary = "the two likeliest classes are closest"
    needs_classes = True

    def rank(self, situation: Situation, n: int) -> Ranking:
        """Rank by `margin`."""
        return Ranking.by_score(margin(situation.proba), n, "disputed")


@STRATEGIES.register("entropy")
class Entropy(Strategy):
    """The class probabilities are spread most evenly (Settles 2009)."""

    name = "entropy"
    summary = "the class probabilities are spread most evenly"
    needs_classes = True

    def rank(self, situation: Situation, n: int) -> Ranking:
        """Rank by `entropy`."""
        return Ranking.by_score(entropy(situation.proba), n, "disputed")


class BaldParams(StrategyParams):
    """Options of BALD.

    Attributes
    ----------
    members
        Linear probes in the ensemble.
    """

    members: int = Field(default=8, ge=2)


def bald(proba: Doubles) -> Doubles:
    """Mutual information of label and model `(n,)`, from members' probabilities `(k, n, c)`."""
    return entropy(proba.mean(axis=0)) - entropy(proba).mean(axis=0)


@STRATEGIES.register("bald")
class Bald(Strategy):
    """Probes on resampled labels contradict one another most (Houlsby et al. 2011).

    Rows are resampled within each class, so that every member knows every class. Classes of one
    row are the same for all members, and so probabilities that are given are not used.
    """

    name = "bald"
    summary = "an ensemble's members contradict one another most"
    needs_classes = True
    Params = BaldParams
    params: BaldParams

    def rank(self, situation: Situation, n: int) -> Ranking:
        """Rank by the mutual information; by entropy where nothing can be resampled."""
        if len(np.unique(situation.y)) < 2:
            return Ranking.by_score(entropy(situation.proba), n, "disputed")
        rng = situation.rng()
        total = np.zeros((len(situation.X), len(situation.classes)))
        within = np.zeros(len(situation.X))
        for _ in range(self.params.members):
            proba = situation.probe(resampled(situation.y, rng), situation.seed)
            total += proba
            within += entropy(proba)
        k = self.params.members
        return Ranking.by_score(entropy(total / k) - within / k, n, "disputed")


def resampled(y: Index, rng: np.random.Generator) -> Index:
    """Positions drawn with replacement within each class, `(m,)`."""
    rows = [np.flatnonzero(y == c) for c in np.unique(y)]
    return np.concatenate([rng.choice(at, len(at)) for at in rows])
