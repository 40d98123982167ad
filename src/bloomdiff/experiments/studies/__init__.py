"""Optuna studies that resume, on one machine or many. The only room that knows Optuna."""

from bloomdiff.experiments.studies.engines import Engine, study_runner
from bloomdiff.experiments.studies.plots import studies_page
from bloomdiff.experiments.studies.result import Direction, StudyResult
from bloomdiff.experiments.studies.spaces import (
    Space,
    distributions,
    rest_of,
    space_digest,
    space_table,
)
from bloomdiff.experiments.studies.storage import storage_from
from bloomdiff.experiments.studies.study import TrialLog, report, run_study

__all__ = [
    "Direction",
    "Engine",
    "Space",
    "StudyResult",
    "TrialLog",
    "distributions",
    "report",
    "rest_of",
    "run_study",
    "space_digest",
    "space_table",
    "storage_from",
    "studies_page",
    "study_runner",
]
