"""Ours: what a label is expected to gain, class by class.

Macro-F1 weighs classes, not cells: a mistake on a class of N cells costs 1 / N. So each cell of the
pool has a *stake*: how close its two likeliest classes are, times the expected cost of a mistake
under its class probabilities; a share of it may go to cells that are strange to every labelled
class. Labels are then placed where they cover the most stake: greedy facility location with the
candidates' own stakes as a factor, so that the queue holds neither twins nor cells that teach
nothing. Until a few cells of each known class are labelled, stakes are guesses and typical cells
are taken instead, as in TCM (Doucet et al. 2024, arXiv:2403.03728).

Related: uncertainty coverage (Bae et al. 2024, arXiv:2412.20644) without the classes' costs. What
is strange, and if asked for the class probabilities as well, come from the diffusion model's class
prior (`bloomdiff.diffusion.prior`): Gaussians with shrunk centres and one covariance, which is the
model without its network. `docs/selection.md` has the figures behind the defaults.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from bloomdiff.selection.base import (
    STRATEGIES,
    Codes,
    Ranking,
    Situation,
    Strategy,
    StrategyParams,
)
from bloomdiff.selection.coverage import greedy_cover
from bloomdiff.selection.geometry import Doubles, Index, nearest, unit
from bloomdiff.selection.strategies.max_herding import stands_for
from bloomdiff.selection.strategies.typiclust import TypiClust, TypiClustParams
from bloomdiff.selection.strategies.uncertainty import margin

ROWS = 1 << 14  # pool rows whose likelihood is computed together


class ExpectedGainParams(StrategyParams):
    """Options of the expected gain.

    Attributes
    ----------
    per_class
        Labelled cells per known class, on average, below which typical cells are taken.
    gamma
        Of the Gaussian kernel between cells, in the cosine about the pool's mean.
    rarity
        Power of the cost of a class; 0 counts every mistake alike.
    hypotheses
        Whose class probabilities: a linear probe's, or the diffusion model's posterior.
    strangeness
        Share of the stake that goes to cells of low likelihood under every labelled class.
    rare_below
        Labelled cells below which a class is called rare in a reason.
    max_candidates, max_reference
        Cells that may be chosen, those of highest stake, and cells whose coverage counts, drawn
        at random from a larger pool.
    """

    per_class: float = Field(default=3.0, ge=0)
    gamma: float = Field(default=2.0, gt=0)
    rarity: float = Field(default=1.0, ge=0)
    hypotheses: Literal["probe", "diffusion"] = "probe"
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
        params, p = self.params, len(situation.X)
        few = len(situation.y) < params.per_class * len(situation.classes)
        if not situation.can_classify or (few and situation.given is None):
            return TypiClust(TypiClustParams(max_rows=params.max_candidates)).rank(situation, n)
        parts = self._stakes(situation)
        stake = parts.pop("stake")
        mean = situation.X.mean(axis=0, dtype=np.float64).astype(np.float32)
        rows = np.sort(np.argsort(-stake, kind="stable")[: max(params.max_candidates, n)])
        judged = np.arange(p)
        if p > params.max_reference:
            judged = np.sort(situation.rng().choice(p, params.max_reference, replace=False))
        reference = unit(situation.X[judged] - mean)
        index, gain = greedy_cover(
            unit(situation.X[rows] - mean),
            reference,
            stake[judged],
            unit(situation.covered - mean),
            n,
            gamma=params.gamma,
            value=stake[rows],
        )
        chosen = rows[index]
        share = stands_for(reference, unit(situation.X[chosen] - mean)) * p / len(judged)
        told = {name: part[chosen] for name, part in parts.items()}
        told |= {"score": gain, "stands_for": share.astype(np.float64)}
        return Ranking(chosen, told, self._codes(situation, chosen, told))

    def _stakes(self, situation: Situation) -> dict[str, Doubles]:
        """The stake of each cell of the pool, mean 1, and what it is made of."""
        proba = situation.proba
        share = self.params.strangeness
        from_prior = self.params.hypotheses == "diffusion" and situation.given is None
        odd = np.zeros(len(situation.X))
        if (share or from_prior) and len(np.unique(situation.y)) > 1:
            posterior, odd = prior_view(situation)
            proba = posterior if from_prior else proba
        doubt = margin(proba)
        # Expected size of each class: what is labelled, and what the pool seems to hold.
        size = proba.sum(axis=0) + situation.counts
        cost = scaled((proba @ (1 / np.maximum(size, 1e-9))) ** self.params.rarity)
        stake = (1 - share) * scaled(doubt * cost) + share * scaled(odd)
        parts = {"stake": stake, "doubt": doubt, "cost": cost}
        return parts | {"strangeness": odd} if share else parts

    def _codes(self, situation: Situation, chosen: Index, parts: dict[str, Doubles]) -> Codes:
        _, at = nearest(unit(situation.X[chosen]), unit(situation.X_labelled))
        few = situation.counts[situation.y[at]] if len(situation.y) else np.zeros(len(chosen))
        rare = (few < self.params.rare_below) & (parts["cost"] > 1)
        code = np.where(rare, "rare", "disputed")
        if "strangeness" in parts:
            code = np.where(parts["strangeness"] > NEW, "new", code)
        return code


TEMPERATURE = 2.0
"""Divides the prior's log-likelihoods: it takes the directions in which the classes differ from
the few rows that it is then asked about, and is too sure of them."""
NEW = 0.98  # strangeness from which on a cell is called new


def prior_view(situation: Situation) -> tuple[Doubles, Doubles]:
    """The diffusion model's class prior, fitted on the labelled rows, looks at the pool.

    Returns
    -------
    Class probabilities `(n, c)`, and the share of the pool that is likelier than each row under
    its likeliest class `(n,)`, squared: most of a pool is not strange at all.
    """
    from scipy.special import softmax
    from scipy.stats import rankdata

    from bloomdiff.diffusion.prior import ClassPrior

    present, y = np.unique(situation.y, return_inverse=True)
    prior = ClassPrior.fit(situation.X_labelled, y)
    proba = np.zeros((len(situation.X), len(situation.classes)))
    log_likelihood = np.empty(len(situation.X))
    for start in range(0, len(situation.X), ROWS):
        part = slice(start, start + ROWS)
        X = situation.X[part]
        proba[part, present] = softmax(prior.scores(X) / TEMPERATURE, axis=1)
        whitened = prior.whitening.whiten(X)
        likeliest = np.full(len(X), -np.inf)
        for c in range(len(present)):
            z, at_centre = prior.standardize(whitened, c)
            likeliest = np.maximum(likeliest, at_centre - (z**2).sum(axis=1) / 2)
        log_likelihood[part] = likeliest
    return proba, (rankdata(-log_likelihood) / len(log_likelihood)) ** 2


def scaled(values: Doubles) -> Doubles:
    """Values of mean 1; ones where all are 0."""
    mean = values.mean()
    return values / mean if mean > 0 else np.ones_like(values)
