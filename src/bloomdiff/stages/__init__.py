"""The street: one module per DVC stage. Thin shells that read, call the rooms, write and track."""

from __future__ import annotations

from pathlib import Path

WITHOUT_DEVICE = ("prepare", "evaluate", "simulate")
"""Stages that run on the processor whatever `device` says."""


def run_stage(name: str, root: str | Path) -> None:
    """Run one stage of the project at `root`, alone under its lock, told to the tracker.

    Raises
    ------
    BloomDiffError
        Parameters or inputs that the user can mend; nothing is left half-written.
    """
    import importlib

    from bloomdiff.experiments.tracking import pipeline_run
    from bloomdiff.stages.device import check_device
    from bloomdiff.stages.project import Project
    from bloomdiff.stages.work import stage_lock

    project = Project(Path(root).resolve())
    params = project.params
    if name not in WITHOUT_DEVICE:
        check_device(project)
    if name == "prepare":
        from bloomdiff.stages.costs import check_costs

        check_costs(project)
    module = importlib.import_module(f"bloomdiff.stages.{name}")
    if name == "report":  # what it exports and registers may rest on stages that DVC restored
        from bloomdiff.stages.history import complete_history

        complete_history(project)
    with (
        stage_lock(project.working, name),
        pipeline_run(project.root, stage=name, experiment=params.tracking.experiment) as run,
    ):
        module.run(project, run)
