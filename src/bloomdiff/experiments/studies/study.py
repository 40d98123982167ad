"""Optuna studies that resume, and that several workers may share.

The k-th trial depends on the seed, k and the trials before it: a study that is killed, or whose
`n_trials` grows, ends with the trials of an undisturbed one. However many workers there are, the
number of finished trials is exact, see `sampler.rank`.
"""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from bloomdiff.errors import IntegrityError
from bloomdiff.experiments.processes import this_process
from bloomdiff.experiments.studies.result import Direction, StudyResult, noted, summarise
from bloomdiff.experiments.studies.spaces import Space, distributions, space_digest
from bloomdiff.experiments.studies.storage import WRITER, fail_orphans, open_storage

RUN = "mlflow_run"
Objective = Callable[[Any], float | Sequence[float]]


class TrialLog(Protocol):
    """Who is told about each trial."""

    def begin(self, study: str, number: int) -> str:
        """Tell that a trial begins; return the id of its run."""
        ...

    def end(
        self, run_id: str, state: str, params: Mapping[str, Any], values: Mapping[str, float]
    ) -> None:
        """Tell how it ended: `COMPLETE`, `PRUNED` or `FAIL`."""
        ...

    def lost(self, run_id: str) -> None:
        """Tell that the process of a trial died before it could tell how the trial ended."""
        ...


class _SurplusError(Exception):
    """A trial that another worker's trials made needless before it began."""


def run_study(
    name: str,
    objective: Objective,
    *,
    storage: str | Path,
    n_trials: int,
    seed: int,
    directions: Mapping[str, Direction],
    fingerprint: str,
    space: Space | None = None,
    first: Mapping[str, Any] | None = None,
    log: TrialLog | None = None,
    heartbeat: int = 30,
    progress: bool = True,
) -> StudyResult:
    """Bring a study to `n_trials` finished trials; one that has them adds none.

    Several processes may call this at once with the same arguments: they share the trials, and
    each returns when all are finished.

    Parameters
    ----------
    name
        Name of the study in its storage.
    objective
        Maps an Optuna trial to its value, or to one value per direction; may prune by `report`
        and set constraints. A value that is not finite counts as pruned.
    storage
        See `open_storage`.
    n_trials
        Finished trials, complete or pruned; more of them in the storage are not looked at.
    seed
        Base seed of the sampler.
    directions
        Name of each objective to whether larger or smaller is better; the first decides.
    fingerprint
        Digest of the data that the study may see.
    space
        The search space, where it shall be part of the study's identity.
    first
        Parameters of the first trial, such as the defaults: tuning is then never worse than none
        on the data that it sees. Names outside the search space are passed over, and None where
        it is no choice there.
    log
        Told about each trial.
    heartbeat
        See `open_storage`.
    progress
        Whether to show a bar where standard error is a terminal.

    Raises
    ------
    IntegrityError
        The storage holds a study of this name made with other data or another search space.
    InputError
        The storage cannot be opened, or no trial completed.
    """
    import optuna
    from tqdm import tqdm

    from bloomdiff.experiments.studies.sampler import DRAW, DrawSampler, rank

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)

    def lost(trial: Any) -> None:
        if log is not None and RUN in trial.user_attrs:
            log.lost(trial.user_attrs[RUN])

    opened = open_storage(str(storage), heartbeat=heartbeat, lost=lost)
    known = distributions(space) if space else {}
    first = {
        name: value
        for name, value in (first or {}).items()
        if value is not None or None in getattr(known.get(name), "choices", ())
    }
    sampler = DrawSampler(seed, first)
    study = optuna.create_study(
        study_name=name,
        storage=opened,
        directions=list(directions.values()),
        pruner=make_pruner(),
        sampler=sampler,
        load_if_exists=True,
    )
    identity = {"fingerprint": fingerprint, "space": space_digest(space)}
    _check_identity(study, identity, storage)
    study.set_metric_names(list(directions))

    def one_trial(trial: Any) -> float | Sequence[float]:
        if rank(study, trial.number) >= n_trials:
            raise _SurplusError
        trial.set_user_attr(DRAW, str(sampler.draw))
        trial.set_user_attr(WRITER, this_process())
        return _told(log, study, trial, objective, directions)

    waited = False
    disable = None if progress else True  # None: where there is no terminal
    with tqdm(total=n_trials, desc=name, unit="trial", disable=disable) as bar:
        while len(finished := _finished(study)) < n_trials:
            bar.update(len(finished) - bar.n)
            fail_orphans(study, opened)
            if _claimed(study) < n_trials:
                study.optimize(one_trial, n_trials=1, catch=(_SurplusError,))
                continue
            if not waited:
                print(f"{name}: waiting for trials in other workers' hands", file=sys.stderr)
                waited = True
            time.sleep(1)
        bar.update(n_trials - bar.n)
    return summarise(name, finished[:n_trials], directions)


def make_pruner() -> Any:
    """Stops a trial that is below the median at its step, once five trials are complete."""
    import optuna

    return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1)


def report(trial: Any, value: float, step: int) -> None:
    """Tell a trial's intermediate value; raise Optuna's `TrialPruned` if it is not worth going on.

    A study of several objectives cannot prune: there, nothing is told.

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

    if len(trial.study.directions) > 1:
        return
    trial.report(value, step)
    if trial.should_prune():
        raise optuna.TrialPruned


def _told(
    log: TrialLog | None,
    study: Any,
    trial: Any,
    objective: Objective,
    directions: Mapping[str, Direction],
) -> float | Sequence[float]:
    """Run the objective between telling the log that the trial begins and how it ended."""
    import optuna

    run_id = log.begin(study.study_name, trial.number) if log else None
    if run_id is not None:
        trial.set_user_attr(RUN, run_id)
    state = "FAIL"
    values: Sequence[float] = ()
    try:
        found = objective(trial)
        values = found if isinstance(found, Sequence) else [found]
        if not all(map(math.isfinite, values)):
            values = ()
            raise optuna.TrialPruned
        state = "COMPLETE"
        return values
    except optuna.TrialPruned:
        state = "PRUNED"
        raise
    finally:
        if log is not None and run_id is not None:
            told = {**noted(trial.user_attrs), **dict(zip(directions, values, strict=bool(values)))}
            log.end(run_id, state, trial.params, told)


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


def _finished(study: Any) -> list[Any]:
    from optuna.trial import TrialState

    states = (TrialState.COMPLETE, TrialState.PRUNED)
    return list(study.get_trials(deepcopy=False, states=states))


def _claimed(study: Any) -> int:
    """Trials that are finished or in somebody's hands; one that waits is free to be taken."""
    from optuna.trial import TrialState

    free = (TrialState.FAIL, TrialState.WAITING)
    return sum(trial.state not in free for trial in study.get_trials(deepcopy=False))
