"""Where the trials of a study run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from bloomdiff.experiments.studies.result import StudyResult
from bloomdiff.experiments.studies.study import run_study

Engine = Literal["local", "ray"]


def study_runner(engine: Engine, device: str) -> Callable[..., StudyResult]:
    """`run_study`, or what runs it on the Ray cluster at hand.

    Parameters
    ----------
    engine
        "local" or "ray".
    device
        "cpu", "cuda" or "auto", as the objective was given it.
    """
    if engine == "local":
        return run_study
    from bloomdiff.experiments.studies.remote import run_study_on_ray

    return partial(run_study_on_ray, device=device)
