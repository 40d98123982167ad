"""`bloomdiff results` and `bloomdiff ui`: read what the pipeline found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bloomdiff.cli.folder import project_folder

ProjectFolder = Annotated[
    Path, typer.Option("--project", help="Folder of params.yaml.", show_default="current folder")
]


def results(project: ProjectFolder = Path()) -> None:
    """Print macro-F1 for each generator at each synthetic-to-real ratio."""
    from bloomdiff.errors import InputError

    path = project / "reports" / "report" / "summary.txt"
    if not path.exists():
        raise InputError(str(path), "no such file", "run `dvc repro` first")
    typer.echo(path.read_text(encoding="utf-8"))
    typer.echo("Every run in the browser: make ui   (or: bloomdiff ui --port 5000)")


def ui(
    project: ProjectFolder = Path(),
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.", min=1, max=65535)] = 5000,
) -> None:
    """Serve the MLflow UI on 127.0.0.1 until interrupted."""
    import subprocess

    from bloomdiff.experiments.mlflow_store import ui_command
    from bloomdiff.experiments.tracking_client import check_ui

    root = project_folder(project, "params.yaml")  # MLflow would make a store anywhere
    check_ui(root)
    raise typer.Exit(subprocess.call(ui_command(root, port=port)))


def register(app: typer.Typer) -> None:
    """Add both commands to the root."""
    app.command("results")(results)
    app.command("ui")(ui)
