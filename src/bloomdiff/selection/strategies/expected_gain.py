"""Ours: what a label is expected to gain, by the diffusion model's view of the classes.

Macro-F1 weighs classes, not cells: a mistake on a class of N cells costs 1 / N. So each cell of the
pool is given a *stake*: the chance that it is told wrongly, times the expected cost of that under
the class probabilities; to it is added how strange the cell is to every labelled class, since a
class that nobody has found costs all of its cells. Labels are then placed where they cover the most
stake: greedy facility location with the candidates' own stakes as a factor, so that the queue holds
neither twins nor cells that teach nothing.

Related: uncertainty coverage (Bae et al. 2024, arXiv:2412.20644) without classes' costs and without
what is strange; the class prior is that of `bloomdiff.diffusion.prior`.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from bloomdiff.selection.base import STRATEGIES, Ranking, Situation, Strategy, StrategyParams
from bloomdiff.selection.coverage import greedy_cover
from bloomdiff.selection.geometry import Doubles, unit
from bloomdiff.selection.strategies.max_herding import stands_for
from bloomdiff.selection.strategies.uncertainty import margin


class ExpectedGainParams(StrategyParams):
    """Options of the expected gain.

    Attributes
    ----------
    gamma
        Of the Gaussian kernel between cells, in the cosine about the pool's mean.
    rarity
        Power of the cost of a class; 0 counts every mistake alike.
    strangeness
        Share of the stake that goes to cells that no labelled class explains, in [0, 1].
    rare_below
        Labelled cells below which a class is called rare in a reason.
    max_candidates, max_reference
        Cells that may be chosen, those of highest stake, and cells whose coverage counts, drawn
        at random from a larger pool.
    """

    gamma: float = Field(default=2.0, gt=0)
    rarity: float = Field(default=1.0, ge=0)
    strangeness: float = Field(default=0.0, ge=0, le=1)
    rare_below: int = Field(default=5, ge=1)
    max_candidates: int = Field(default=20_000, ge=1)
    max_reference: int = Field(default=8_000, ge=1)


@STRATEGIES.register("expected-gain")
class ExpectedGain(Strategy):
    """Cells whose labels cover the most of what is at stake; see the module."""

    name = "expected-gain"
    summary = "cells whose labels cover the most of what macro-F1 can still gain (ours)"
    Params = ExpectedGainParams
    params: ExpectedGainParams

    def rank(self, situation: Situation, n: int) -> Ranking:
        """Rank by greedy coverage of the stakes; the score is the gain when chosen."""
        X, params, p = situation.X, self.params, len(situation.X)
        parts = self._stakes(situation)
        stake = parts.pop("stake")
        mean = X.mean(axis=0, dtype=np.float64).astype(np.float32)
        rng = situation.rng()
        limit = max(params.max_candidates, n)
        rows = np.sort(np.argsort(-stake, kind="stable")[:limit])
        if not situation.can_classify and p > limit:
            rows = np.sort(rng.choice(p, limit, replace=False))
        limit = params.max_reference
        judged = np.arange(p) if p <= limit else np.sort(rng.choice(p, limit, replace=False))
        reference = unit(X[judged] - mean)
        index, gain = greedy_cover(
            unit(X[rows] - mean),
            reference,
            stake[judged],
            unit(situation.covered - mean),
            n,
            gamma=params.gamma,
            value=stake[rows],
        )
        chosen = rows[index]
        parts = {name: part[chosen] for name, part in parts.items()}
        share = stands_for(reference, unit(X[chosen] - mean)) * p / len(judged)
        ranking = Ranking.of(chosen, "typical", score=gain, stands_for=share, **parts)
        return Ranking(ranking.index, ranking.parts, self._codes(situation, ranking))

    def _stakes(self, situation: Situation) -> dict[str, Doubles]:
        """The stake of each cell of the pool, mean 1, and what it is made of."""
        if not situation.can_classify:
            return {"stake": np.ones(len(situation.X))}
        proba = situation.proba
        unsure = margin(proba)
        # Expected size of each class: what is labelled, and what the pool seems to hold.
        size = proba.sum(axis=0) + situation.counts
        cost = scaled((proba @ (1 / size)) ** self.params.rarity)
        return {"stake": scaled(unsure * cost), "doubt": unsure, "cost": cost}

    def _codes(self, situation: Situation, ranking: Ranking) -> np.ndarray:
        if not situation.can_classify:
            return ranking.code
        few = situation.counts[situation.proba[ranking.index].argmax(axis=1)]
        rare = (few < self.params.rare_below) & (ranking.parts["cost"] > 1)
        return np.where(rare, "rare", "disputed")


def scaled(values: Doubles) -> Doubles:
    """Values of mean 1; ones where all are 0."""
    mean = values.mean()
    return values / mean if mean > 0 else np.ones_like(values)
