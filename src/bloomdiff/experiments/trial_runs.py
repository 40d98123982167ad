"""Each trial of a study as a run: the run names study and trial, the trial names the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bloomdiff.experiments.parents import TRIAL, close_lost
from bloomdiff.experiments.tracking import StageRun
from bloomdiff.experiments.tracking_client import client_of

_STATUS = {"COMPLETE": "FINISHED", "PRUNED": "FINISHED", "FAIL": "FAILED"}


class TrialRuns:
    """Tells the trials of a study as runs nested under a stage's.

    Parameters
    ----------
    run
        The stage's run.
    tags
        Tags of every trial: the fold, the method.
    """

    def __init__(self, run: StageRun, tags: Mapping[str, str]) -> None:
        self._run = run
        self._tags = {**tags, "kind": TRIAL}

    def begin(self, study: str, number: int) -> str:
        """Open the run of a trial and return its id."""
        tags = {**self._tags, "optuna.study": study, "optuna.trial": str(number)}
        return self._run.open_child(f"{study} trial {number}", tags)

    def end(
        self, run_id: str, state: str, params: Mapping[str, Any], values: Mapping[str, float]
    ) -> None:
        """Tell what was tried and found, and close the run."""
        self._run.close_child(
            run_id,
            params=params,
            metrics=values,
            tags={"optuna.state": state},
            status=_STATUS[state],
        )

    def lost(self, run_id: str) -> None:
        """Close the run of a trial that another process began and will never end."""
        close_lost(client_of(self._run.handle.uri), run_id)
