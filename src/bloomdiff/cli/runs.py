"""`bloomdiff runs`: what the tracker knows, and what is done with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Compare, register and complete the tracked runs.", no_args_is_help=True)

ProjectFolder = Annotated[
    Path, typer.Option("--project", help="Folder of params.yaml.", show_default="current folder")
]


@app.command()
def register(project: ProjectFolder = Path()) -> None:
    """Register the best classifier: champion where the paired test supports it."""
    from bloomdiff.experiments.tracking import pipeline_run
    from bloomdiff.stages.device import check_device
    from bloomdiff.stages.project import Project
    from bloomdiff.stages.register import register_best

    opened = Project(project.resolve())
    check_device(opened)
    experiment = opened.params.tracking.experiment
    with pipeline_run(opened.root, stage="register", experiment=experiment) as run:
        done = register_best(opened, run)
    typer.echo(f"{done.name} version {done.version}{'' if done.new else ' (unchanged)'}")
    typer.echo(f"alias {done.alias}: mlflow models serve -m '{done.uri}' --env-manager local")


@app.command()
def compare(
    project: ProjectFolder = Path(),
    metric: Annotated[
        str, typer.Option(help="Score of the runs, such as macro_f1, log_loss or macro_f1_knn.")
    ] = "macro_f1",
    plot: Annotated[Path, typer.Option(help="PNG to write.")] = Path("ratio_curves.png"),
) -> None:
    """Print and plot the latest sweep's ratio curves, from the tracker's store alone."""
    from bloomdiff.stages.history import compare as curves
    from bloomdiff.stages.project import Project

    typer.echo(curves(Project(project.resolve()), metric, plot))
    typer.echo(f"drawn: {plot}")


@app.command()
def sync(project: ProjectFolder = Path()) -> None:
    """Tell the tracker about stages that DVC restored from a cache or a remote."""
    from bloomdiff.stages.history import complete_history
    from bloomdiff.stages.project import Project

    stages = complete_history(Project(project.resolve()))
    typer.echo(f"restored: {', '.join(stages)}" if stages else "every stage has its run")
