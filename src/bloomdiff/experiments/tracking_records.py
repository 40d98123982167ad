"""Plain data about runs: what is told of a nested one, and how another process reaches it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bloomdiff.experiments.run_artifacts import Content


@dataclass(frozen=True)
class ChildRun:
    """What is told about one fold, generator, ratio and seed.

    Attributes
    ----------
    name
        Shown in the table of runs.
    params, metrics, tags
        Params are shown as strings; metrics are numbers, NaN where undefined.
    artifacts
        Path inside the run to its content, or to the file that holds it.
    series
        Metrics with a value at each of several steps: a curve in MLflow's UI.
    """

    name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str] = field(default_factory=dict)
    artifacts: Mapping[str, Content] = field(default_factory=dict)
    series: Mapping[str, Mapping[int, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class RunHandle:
    """What another process needs to tell runs under the same parent."""

    uri: str
    experiment_id: str
    run_id: str
    stage: str
    root: Path
    tags: Mapping[str, str]
