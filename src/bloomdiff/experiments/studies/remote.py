"""Trials on a Ray cluster: the driver draws them and keeps the study, the workers evaluate.

The driver alone touches the storage and the tracker, so both may be its own SQLite files, and the
workers need nothing but the package. A worker that dies is started anew and evaluates the same
trial again, so the trial keeps its number and its parameters, and the number of finished trials is
exact. A driver that dies leaves trials that the next run fails, as it does on one machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import optuna

from bloomdiff.cluster import connect
from bloomdiff.errors import BloomDiffError
from bloomdiff.experiments.studies.result import Direction, StudyResult
from bloomdiff.experiments.studies.storage import MAX_RETRIES, open_storage
from bloomdiff.experiments.studies.study import Objective, make_pruner, run_study

ASKED = "tune --engine ray"


@dataclass(frozen=True)
class _Told:
    """What a worker found: `values` are None where the trial was pruned."""

    values: Any
    noted: Mapping[str, Any]
    constraints: Mapping[str, float]
    error: tuple[str, str, str] | None = None


def run_study_on_ray(
    name: str,
    objective: Objective,
    *,
    storage: str,
    n_trials: int,
    directions: Mapping[str, Direction],
    space: Callable[[Any], Any],
    device: str = "cpu",
    **settings: Any,
) -> StudyResult:
    """Bring a study to `n_trials` finished trials, as many at once as the cluster has cores.

    Parameters
    ----------
    name, storage, n_trials, directions, space
        See `run_study`; a trial is drawn from `space` before it travels.
    objective
        See `run_study`; it travels to the workers by value, with the rows that it holds.
    device
        "cpu", "cuda" or "auto": a worker takes a GPU unless it is "cpu" or the cluster has none.
    settings
        Further arguments of `run_study`.

    Raises
    ------
    ParameterError
        Ray is not installed.
    BloomDiffError
        What the objective raised, or a worker died in one trial again and again.
    """
    ray = connect(ASKED)
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    packed = ray.put(ray.cloudpickle.dumps(objective))
    # On the driver's own node, where the storage's file is.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    desk = ray.remote(_Desk).options(num_cpus=0, scheduling_strategy=here).remote(name, storage)
    resources = ray.cluster_resources()
    gpu = device != "cpu" and "GPU" in resources
    hands = [
        ray.remote(_Worker)
        .options(num_cpus=1, num_gpus=int(gpu), max_restarts=-1, max_task_retries=MAX_RETRIES)
        .remote(packed, desk, len(directions))
        for _ in range(max(1, min(int(resources["GPU" if gpu else "CPU"]), n_trials)))
    ]

    def share(number: int) -> StudyResult:
        def evaluate(trial: Any) -> Any:
            space(trial)
            try:
                told = ray.get(hands[number].evaluate.remote(trial.params, trial.number))
            except ray.exceptions.RayActorError:
                raise BloomDiffError(
                    f"study {name!r}, trial {trial.number}",
                    "its worker died again and again",
                    "look at the nodes' memory, or tune with --engine local",
                ) from None
            return _take(trial, told)

        return run_study(
            name,
            evaluate,
            storage=storage,
            n_trials=n_trials,
            directions=directions,
            space=space,
            progress=number == 0,
            **settings,
        )

    with ThreadPoolExecutor(len(hands)) as threads:
        try:
            result, *_ = threads.map(share, range(len(hands)))
            return result
        finally:  # after an error or an interrupt this ends the trials that are under way
            for actor in (*hands, desk):
                ray.kill(actor)


def _take(trial: Any, told: _Told) -> Any:
    """Note on the driver's trial what the worker's noted."""
    for key, value in told.noted.items():
        trial.set_user_attr(key, value)
    for key, value in told.constraints.items():
        trial.set_constraint(key, value)
    if told.error is not None:
        raise BloomDiffError(*told.error)
    if told.values is None:
        raise optuna.TrialPruned
    return told.values


class _Worker:
    """The objective in one process of the cluster."""

    def __init__(self, packed: bytes, desk: Any, n_objectives: int) -> None:
        import pickle

        self.objective: Objective = pickle.loads(packed)
        self.desk, self.n_objectives = desk, n_objectives

    def evaluate(self, params: dict[str, Any], number: int) -> _Told:
        trial = _TravellingTrial(params, number, self.desk, self.n_objectives)
        values, error = None, None
        try:
            values = self.objective(trial)
        except optuna.TrialPruned:
            pass
        except BloomDiffError as problem:
            # Raised here it would reach the user in Ray's wrappings, pages long.
            error = (problem.where, problem.problem, problem.mend)
        return _Told(values, trial.user_attrs, trial.constraints, error)


class _TravellingTrial(optuna.trial.FixedTrial):
    """A trial whose parameters are drawn, and which asks the driver's node whether to go on."""

    def __init__(self, params: dict[str, Any], number: int, desk: Any, n_objectives: int) -> None:
        super().__init__(params, number)
        self.study = SimpleNamespace(directions=[None] * n_objectives)
        self._desk, self._prune = desk, False

    def report(self, value: float, step: int) -> None:
        import ray

        self._prune = ray.get(self._desk.report.remote(self.number, value, step))

    def should_prune(self) -> bool:
        return self._prune


class _Desk:
    """Takes intermediate values into the study, and says which trials are not worth going on."""

    def __init__(self, name: str, storage: str) -> None:
        self.name, self.storage = name, storage
        self.study: Any = None

    def report(self, number: int, value: float, step: int) -> bool:
        if self.study is None:  # by now the driver has made it
            self.opened = open_storage(self.storage)
            self.study = optuna.load_study(
                study_name=self.name, storage=self.opened, pruner=make_pruner()
            )
        study_id = self.opened.get_study_id_from_name(self.name)
        trial = self.opened.get_trial_id_from_study_id_trial_number(study_id, number)
        self.opened.set_trial_intermediate_value(trial, step, value)
        return bool(self.study.pruner.prune(self.study, self.opened.get_trial(trial)))
