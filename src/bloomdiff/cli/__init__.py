"""The command line: parse, call one stage or one room, print. Nothing heavy is imported here."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from bloomdiff.cli import cache, data, embeddings, encoders, results, runs, select, stage, tune
from bloomdiff.errors import BloomDiffError

app = typer.Typer(
    help="Diffusion on cell embeddings for haematology, judged on real cells only.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(data.app, name="data")
encoders.register(app)
app.add_typer(embeddings.app, name="embeddings")
app.add_typer(select.app, name="select")
app.add_typer(stage.app, name="stage")
app.add_typer(tune.app, name="tune")
app.add_typer(runs.app, name="runs")
cache.register(app)
results.register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("bloomdiff"))
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and leave.",
            callback=_show_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Options that stand before any command."""


def main() -> None:
    """Run the command line; an error that the user can mend is one line and exit code 2."""
    try:
        app()
    except BloomDiffError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
