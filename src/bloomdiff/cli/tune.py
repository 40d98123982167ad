"""`bloomdiff tune`: the studies of the two tuning stages, by hand or from many workers."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Run the studies of the tuning stages; `dvc repro` takes up what they found.",
    no_args_is_help=True,
)

ProjectFolder = Annotated[
    Path, typer.Option("--project", help="Folder of params.yaml.", show_default="current folder")
]
Folds = Annotated[
    list[str] | None, typer.Option("--fold", help="Outer fold; all where none is named.")
]
Names = Annotated[
    list[str] | None, typer.Option("--name", help="Method; all of params.yaml where none is named.")
]
Trials = Annotated[
    int | None,
    typer.Option("--trials", min=1, help="Finished trials a study; else as in params.yaml."),
]


class Engine(StrEnum):
    """Where trials run."""

    local = "local"
    ray = "ray"


Engines = Annotated[
    Engine, typer.Option(help="Trials in this process, or on the Ray cluster of RAY_ADDRESS.")
]


def _add(kind: str, summary: str) -> None:
    @app.command(kind, help=f"{summary}; any number of workers may do so at once.")
    def command(
        project: ProjectFolder = Path(),
        fold: Folds = None,
        name: Names = None,
        trials: Trials = None,
        engine: Engines = Engine.local,
    ) -> None:
        from bloomdiff.stages.device import check_device
        from bloomdiff.stages.project import Project
        from bloomdiff.stages.tuning import tune_now

        opened = Project(project.resolve())
        if engine is Engine.local:  # the machines of a cluster have devices of their own
            check_device(opened)
        found = tune_now(
            opened,
            kind,
            folds=fold or [],
            names=name or [],
            n_trials=trials,
            engine=engine.value,
        )
        for task, result in found:
            values = ", ".join(f"{key} {value:.4g}" for key, value in result.best_values.items())
            chosen = ", ".join(f"{key}={value}" for key, value in result.best_params.items())
            typer.echo(f"{task.fold}  {task.name}  {values}  ({chosen})")
        if not found:
            typer.echo("nothing to tune: tuning is off, or no hyper-parameter is left to search")


_add("generator", "Tune the generators")
_add("classifier", "Tune the classifiers on real rows")


@app.command()
def spaces() -> None:
    """Print the search space of every generator and classifier."""
    from bloomdiff.experiments.objectives import search_spaces

    rows = [("kind", "method", "hyper-parameter", "range"), *search_spaces()]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for *left, spelled in rows:
        typer.echo("  ".join([*map(str.ljust, left, widths), spelled]))
