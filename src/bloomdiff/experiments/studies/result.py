"""What a study found, and which of its trials is taken."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bloomdiff.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class StudyResult:
    """What a study found among its first `n_trials` finished trials.

    Attributes
    ----------
    best_params
        Of the trial that is taken, see `choose`.
    best_values
        Its objectives, and the numbers that the trial noted of itself.
    n_complete, n_pruned
        Finished trials by how they ended.
    within
        Whether the trial that is taken keeps every constraint.
    trials
        One row a finished trial: `trial` (0, 1, ...), `state`, one column an objective (NaN where
        pruned), `params.*`.
    """

    best_params: dict[str, Any]
    best_values: dict[str, float]
    n_complete: int
    n_pruned: int
    within: bool
    trials: pd.DataFrame


def choose(trials: Sequence[Any], direction: Direction) -> Any:
    """The complete trial that is best by the first objective among those within the constraints.

    Further objectives shape the search and the Pareto front; they do not decide. Where no trial
    keeps its constraints, the one that breaks them least is taken; the earliest of equals.

    Parameters
    ----------
    trials
        Complete trials of Optuna, in their order.
    direction
        Of the first objective.
    """
    sign = 1 if direction == "minimize" else -1
    return min(trials, key=lambda trial: (violation(trial), sign * trial.values[0]))


def violation(trial: Any) -> float:
    """Sum of the constraints that a trial breaks; 0 where it keeps them all."""
    return sum(max(value, 0.0) for value in trial.constraints.values())


def summarise(name: str, trials: Sequence[Any], directions: Mapping[str, Direction]) -> StudyResult:
    """Tell the finished trials as a table and take one of them.

    Raises
    ------
    InputError
        No trial completed.
    """
    import pandas as pd
    from optuna.trial import TrialState

    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not complete:
        raise InputError(
            f"study {name!r}", "has no complete trial", "narrow its search space or run more trials"
        )
    best = choose(complete, next(iter(directions.values())))
    rows = []
    for number, trial in enumerate(trials):
        values = (
            trial.values if trial.state == TrialState.COMPLETE else [math.nan] * len(directions)
        )
        row = {"trial": number, "state": trial.state.name}
        row |= dict(zip(directions, values, strict=True))
        rows.append(row | {f"params.{key}": value for key, value in sorted(trial.params.items())})
    return StudyResult(
        dict(best.params),
        {**dict(zip(directions, best.values, strict=True)), **noted(best.user_attrs)},
        len(complete),
        len(trials) - len(complete),
        violation(best) == 0,
        pd.DataFrame(rows),
    )


def noted(user_attrs: Mapping[str, Any]) -> dict[str, float]:
    """The numbers that a trial noted of itself."""
    return {
        key: float(value) for key, value in user_attrs.items() if isinstance(value, int | float)
    }
