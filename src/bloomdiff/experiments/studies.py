"""Optuna studies that resume: the k-th trial depends on the seed, k and the trials before it.

A study that is killed, or whose `n_trials` grows, ends with the trials of an undisturbed one. A
seeded sampler that is built anew for a resumed study would draw its first points again; here each
trial has a sampler of its own, seeded by the base seed and the number of finished trials.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bloomdiff.errors import InputError, IntegrityError
from bloomdiff.experiments.processes import is_alive, this_process
from bloomdiff.experiments.sqlite import use_write_ahead_log

if TYPE_CHECKING:
    import pandas as pd

_SQLITE = "sqlite:///"
_WRITER = "process"


@dataclass(frozen=True)
class StudyResult:
    """What a study found among its first `n_trials` finished trials.

    Attributes
    ----------
    best_params, best_value
        Of the best complete trial; the earliest where several are equal.
    n_complete, n_pruned
        Finished trials by how they ended.
    trials
        One row a finished trial: `trial` (0, 1, ...), `state`, `value` (NaN where pruned),
        `params.*`.
    """

    best_params: dict[str, Any]
    best_value: float
    n_complete: int
    n_pruned: int
    trials: pd.DataFrame


def run_study(
    name: str,
    objective: Callable[[Any], float],
    *,
    storage: str | Path,
    n_trials: int,
    seed: int,
    direction: Literal["maximize", "minimize"],
    fingerprint: str,
    space: Callable[[Any], Any] | None = None,
    first: Mapping[str, Any] | None = None,
) -> StudyResult:
    """Bring a study to `n_trials` finished trials; one that has them adds none.

    Parameters
    ----------
    name
        Name of the study in its storage.
    objective
        Maps an Optuna trial to the value to be optimised; may prune by `report`. A value that is
        not finite counts as pruned.
    storage
        Path of an SQLite file, or a URL of SQLAlchemy's.
    n_trials
        Finished trials, complete or pruned; more of them in the storage are not looked at.
    seed
        Base seed of the sampler.
    direction
        Whether larger or smaller is better.
    fingerprint
        Digest of the data that the study may see.
    space
        The search space, where it shall be part of the study's identity.
    first
        Parameters of the first trial, such as the defaults: tuning is then never worse than none
        on the data that it sees. Names outside the search space, and None, are passed over.

    Raises
    ------
    IntegrityError
        The storage holds a study of this name made with other data or another search space.
    InputError
        No trial completed.
    """
    import optuna
    from optuna.trial import TrialState
    from tqdm import tqdm

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=name,
        storage=_open_storage(str(storage)),
        direction=direction,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1),
        load_if_exists=True,
    )
    _check_identity(study, {"fingerprint": fingerprint, "space": space_digest(space)}, storage)
    _fail_orphans(study)
    finished = _finished(study)
    done = min(len(finished), n_trials)
    with tqdm(total=n_trials, initial=done, desc=name, unit="trial", disable=None) as bar:
        while len(finished) < n_trials:
            study.sampler = optuna.samplers.TPESampler(
                seed=int(np.random.SeedSequence([seed, len(finished)]).generate_state(1)[0]),
                multivariate=True,
            )
            if first and not finished:
                study.enqueue_trial({k: v for k, v in first.items() if v is not None})
            trial = study.ask()
            trial.set_user_attr(_WRITER, this_process())
            try:
                value = float(objective(trial))
            except optuna.TrialPruned:
                value = math.nan
            except BaseException:
                study.tell(trial, state=TrialState.FAIL)
                raise
            if math.isfinite(value):
                study.tell(trial, value)
            else:
                study.tell(trial, state=TrialState.PRUNED)
            finished = _finished(study)
            bar.update()
    return _result(name, finished[:n_trials], direction)


def report(trial: Any, value: float, step: int) -> None:
    """Tell a trial's intermediate value; raise Optuna's `TrialPruned` if it is not worth going on.

    Parameters
    ----------
    trial
        The trial that the objective was given.
    value
        Estimate of the final value so far.
    step
        0, 1, ...; trials are compared at equal steps.
    """
    import optuna

    trial.report(value, step)
    if trial.should_prune():
        raise optuna.TrialPruned


def space_digest(space: Callable[[Any], Any] | None) -> str:
    """SHA-256 of the distributions that `space` suggests from; empty for None."""
    import optuna

    if space is None:
        return ""
    probe = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    space(probe)
    found = {
        name: optuna.distributions.distribution_to_json(distribution)
        for name, distribution in probe.distributions.items()
    }
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def _open_storage(storage: str) -> Any:
    """Open the storage; an SQLite file is created by one process at a time."""
    import optuna
    from filelock import FileLock

    url = storage if "://" in storage else f"{_SQLITE}{storage}"
    if not url.startswith(_SQLITE):
        return optuna.storages.RDBStorage(url)
    path = Path(url.removeprefix(_SQLITE))
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        opened = optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 60}})
        use_write_ahead_log(path)
    return opened


def _check_identity(study: Any, identity: dict[str, str], storage: str | Path) -> None:
    known = study.user_attrs
    for what, digest in identity.items():
        if what not in known:
            study.set_user_attr(what, digest)
        elif known[what] != digest:
            raise IntegrityError(
                f"study {study.study_name!r} in {storage}",
                f"was made with another {what}",
                f"`optuna delete-study --study-name {study.study_name} --storage URL` starts anew",
            )


def _fail_orphans(study: Any) -> None:
    """Fail the trials that a killed process left running.

    They need not be enqueued: the next trial has their seed and the same finished trials before
    it, hence draws their parameters.
    """
    from optuna.trial import TrialState

    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        writer = trial.user_attrs.get(_WRITER)
        if writer is None or not is_alive(writer):
            study.tell(trial.number, state=TrialState.FAIL)


def _finished(study: Any) -> list[Any]:
    from optuna.trial import TrialState

    states = (TrialState.COMPLETE, TrialState.PRUNED)
    return list(study.get_trials(deepcopy=False, states=states))


def _result(name: str, trials: list[Any], direction: str) -> StudyResult:
    import pandas as pd
    from optuna.trial import TrialState

    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not complete:
        raise InputError(
            f"study {name!r}", "has no complete trial", "narrow its search space or run more trials"
        )
    sign = 1 if direction == "minimize" else -1
    best = min(complete, key=lambda trial: sign * trial.value)
    rows = [
        {
            "trial": number,
            "state": trial.state.name,
            "value": trial.value if trial.state == TrialState.COMPLETE else math.nan,
            **{f"params.{key}": value for key, value in sorted(trial.params.items())},
        }
        for number, trial in enumerate(trials)
    ]
    return StudyResult(
        dict(best.params),
        float(best.value),
        len(complete),
        len(trials) - len(complete),
        pd.DataFrame(rows),
    )
