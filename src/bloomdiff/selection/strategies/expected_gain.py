"""Ours: what a label is expected to gain, class by class.

Macro-F1 weighs classes, not cells: a mistake on a class of N cells costs 1 / N. So each cell of the
pool has a *stake*: how close its two likeliest classes are, times the expected cost of a mistake
under its class probabilities. A share of all stakes belongs to classes that nobody has found yet:
the probability that the next cell is of such a class, which Good and Turing estimate by the share
of labels that are the only one of their class (Good 1953, doi:10.1093/biomet/40.3-4.237). That
share goes to cells that are strange to every labelled class by the likelihood of the diffusion
model's class prior (`bloomdiff.diffusion.prior`): Gaussians with shrunk centres and one covariance,
the model without its network. Labels are then placed where they cover the most stake, by greedy
facility location, so that the queue holds neither twins nor outliers that stand for nothing.

Without a label the share is all there is, and no cell is stranger than another: the queue covers
the pool, as MaxHerding does (Bae et al. 2024, arXiv:2407.12212). The estimate supposes cells drawn
at random; ours are drawn to be unlike the labelled ones, so that it errs towards looking for more.

Related: uncertainty coverage (Bae et al. 2024, arXiv:2412.20644) without the classes' costs and
without what is unseen. `docs/selection.md` has the figures.
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
from bloomdiff.selection.strategies.uncertainty import margin

ROWS = 1 << 14  # pool rows whose likelihood is computed together
MOST_JUDGED = 100_000  # pool rows whose strangeness is looked at, drawn at random from a larger one


class ExpectedGainParams(StrategyParams):
    """Options of the expected gain.

    Attributes
    ----------
    gamma
        Of the Gaussian kernel between cells, in the cosine about the pool's mean.
    rarity
        Power of the cost of a class; 0 counts every mistake alike.
    hypotheses
        Whose class probabilities: a linear probe's, or the diffusion model's posterior.
    unseen
        Share of the stakes that belongs to classes without a label; None estimates it.
    rare_below
        Labelled cells below which a class is called rare in a reason.
    max_candidates, max_reference
        Cells that may be chosen, those of highest stake, and cells whose coverage counts, drawn
        at random from a larger pool.
    """

    gamma: float = Field(default=2.0, gt=0)
    rarity: float = Field(default=1.0, ge=0)
    hypotheses: Literal["probe", "diffusion"] = "probe"
    unseen: float | None = Field(default=None, ge=0, le=1)
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
        params, p, rng = self.params, len(situation.X), situation.rng()
        parts = self._stakes(situation)
        stake = parts["stake"]
        mean = situation.X.mean(axis=0, dtype=np.float64).astype(np.float32)
        rows = judged = np.arange(p)
        if p > (most := max(params.max_candidates, n)):
            mixed = rng.permutation(p)  # among equal stakes, any
            rows = np.sort(mixed[np.argsort(-stake[mixed], kind="stable")[:most]])
        if p > params.max_reference:
            judged = np.sort(rng.choice(p, params.max_reference, replace=False))
        reference = unit(situation.X[judged] - mean)
        index, gain = greedy_cover(
            unit(situation.X[rows] - mean),
            reference,
            stake[judged],
            unit(situation.covered - mean),
            n,
            gamma=params.gamma,
        )
        chosen = rows[index]
        share = stands_for(reference, unit(situation.X[chosen] - mean)) * p / len(judged)
        told = {name: part[chosen] for name, part in parts.items()}
        told |= {"score": gain, "stands_for": share.astype(np.float64)}
        return Ranking(chosen, told, self._codes(situation, chosen, told))

    def _stakes(self, situation: Situation) -> dict[str, Doubles]:
        """The stake of each cell of the pool, mean 1, and what it is made of."""
        flat = np.ones(len(situation.X))
        if not situation.can_classify:
            return {"stake": flat}
        share = self.params.unseen
        if share is None:
            share = unseen_share(situation)
        proba, odd = situation.proba, flat
        from_prior = self.params.hypotheses == "diffusion" and situation.given is None
        if (share or from_prior) and len(np.unique(situation.y)) > 1:
            rows = np.arange(len(flat))
            if not from_prior and len(rows) > MOST_JUDGED:  # the others are not asked for as new
                rows = np.sort(situation.rng().choice(rows, MOST_JUDGED, replace=False))
            posterior, strangeness = prior_view(situation, rows)
            odd = np.zeros(len(flat))
            odd[rows] = strangeness
            proba = posterior if from_prior else proba
        doubt = margin(proba)
        # Expected size of each class: what is labelled, and what the pool seems to hold.
        size = proba.sum(axis=0) + situation.counts
        cost = scaled((proba @ (1 / np.maximum(size, 1e-9))) ** self.params.rarity)
        told, new = (1 - share) * scaled(doubt * cost), share * scaled(odd)
        parts = {"stake": told + new, "doubt": doubt, "cost": cost}
        if share:
            parts |= {"strangeness": odd, "unseen": new / np.maximum(told + new, 1e-12)}
        return parts

    def _codes(self, situation: Situation, chosen: Index, parts: dict[str, Doubles]) -> Codes:
        if not situation.can_classify:
            return np.full(len(chosen), "typical")
        _, at = nearest(unit(situation.X[chosen]), unit(situation.X_labelled))
        few = situation.counts[situation.y[at]] if len(situation.y) else np.zeros(len(chosen))
        rare = (few < self.params.rare_below) & (parts["cost"] > 1)
        code = np.where(rare, "rare", "disputed")
        if "unseen" in parts:
            told = np.where(parts["strangeness"] > STRANGE, "new", "typical")
            code = np.where(parts["unseen"] > 0.5, told, code)
        return code


def unseen_share(situation: Situation) -> float:
    """Estimated share of classes without a label: labels that are alone of their class, of all.

    Where a detector gives the probabilities, it knows the classes and the share is 0.
    """
    if situation.given is not None:
        return 0.0
    return float((situation.counts == 1).sum() / len(situation.y))


TEMPERATURE = 2.0
"""Divides the prior's log-likelihoods: it takes the directions in which the classes differ from
the few rows that it is then asked about, and is too sure of them."""
STRANGE = 0.81  # strangeness from which on a cell is called new: that of the last tenth


def prior_view(situation: Situation, rows: Index) -> tuple[Doubles, Doubles]:
    """The diffusion model's class prior, fitted on the labelled rows, looks at the pool.

    Parameters
    ----------
    situation
        With two labelled classes at least.
    rows
        Positions in the pool that it looks at `(k,)`.

    Returns
    -------
    Class probabilities `(k, c)`, and the share of these rows that is likelier than each under its
    likeliest class `(k,)`, squared: most of a pool is not strange at all.
    """
    from scipy.special import softmax
    from scipy.stats import rankdata

    from bloomdiff.diffusion.prior import ClassPrior

    present, y = np.unique(situation.y, return_inverse=True)
    prior = ClassPrior.fit(situation.X_labelled, y)
    proba = np.zeros((len(rows), len(situation.classes)))
    log_likelihood = np.empty(len(rows))
    for start in range(0, len(rows), ROWS):
        part = slice(start, start + ROWS)
        X = situation.X[rows[part]]
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
