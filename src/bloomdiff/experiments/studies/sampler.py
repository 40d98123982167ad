"""A TPE sampler whose k-th trial depends on the seed, k and the trials before it, and on no clock.

(Unless an objective is one: `seconds` of the generators' studies.)

A seeded sampler that is built anew for a resumed study would draw its first points again, and
workers that share a study would draw the same points at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, PartialFixedSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

DRAW = "draw"


class DrawSampler(BaseSampler):
    """Multivariate TPE, made anew for each trial from the base seed and the number of its draw.

    Parameters
    ----------
    seed
        Base seed.
    first
        Parameters of draw 0; those that it leaves out are drawn.

    Attributes
    ----------
    draw
        Number of the last trial's draw, to be noted in its user attribute `DRAW`.

    References
    ----------
    Bergstra et al. (2011), Algorithms for hyper-parameter optimization.
    """

    def __init__(self, seed: int, first: Mapping[str, Any]) -> None:
        self._seed = seed
        self._first = dict(first)
        self.draw = 0
        self._sampler: BaseSampler = TPESampler(seed=seed, multivariate=True)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Make the sampler of this trial."""
        self.draw = next_draw(study, trial)
        seed = int(np.random.SeedSequence([self._seed, self.draw]).generate_state(1)[0])
        self._sampler = TPESampler(seed=seed, multivariate=True)
        if self.draw == 0 and self._first:
            self._sampler = PartialFixedSampler(self._first, self._sampler)
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """As TPE does."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As TPE does."""
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """As TPE does."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)


def next_draw(study: Study, trial: FrozenTrial) -> int:
    """The least draw that no trial before this one holds; what failed gives its draw back.

    Without failures the k-th trial has draw k. A trial that was queued again has its old one.
    Trials that began a moment ago and have not noted theirs are on their way to the least ones.
    """
    if DRAW in trial.user_attrs:
        return int(trial.user_attrs[DRAW])
    before = [
        one.user_attrs.get(DRAW)
        for one in study.get_trials(deepcopy=False)
        if one.number < trial.number and one.state != TrialState.FAIL
    ]
    held = {int(draw) for draw in before if draw is not None}
    free = [draw for draw in range(len(before) + 1) if draw not in held]
    return free[before.count(None)]


def rank(study: optuna.Study, number: int) -> int:
    """How many trials before this one count: all but the failed.

    Numbers are given out one after another whoever asks, and what failed stays failed, so a rank
    can only fall. Of any `n + 1` trials that count, the last had a rank of `n` or more from its
    beginning; where such trials give up, no more than `n` ever finish, however many workers run.
    """
    trials = study.get_trials(deepcopy=False)
    return sum(trial.number < number and trial.state != TrialState.FAIL for trial in trials)
