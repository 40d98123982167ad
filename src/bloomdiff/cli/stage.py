"""`bloomdiff stage NAME`: one door of `dvc.yaml`, one command, one module."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Run one stage of the pipeline in the current folder.", no_args_is_help=True)

STAGES = {
    "prepare": "Images to a validated manifest, duplicate families and outer folds.",
    "embed": "Manifest to embeddings with a frozen encoder.",
    "tune_generator": "Tune every generator on the inner folds of each outer training part.",
    "fit_generator": "Fit every generator on each outer training part.",
    "synthesize": "Draw the synthetic sets, every row with its provenance.",
    "evaluate": "Judge the synthetic sets beside a floor and controls.",
    "tune_classifier": "Tune the classifiers on the inner folds, real rows only.",
    "classify": "The ratio sweep, tested on real cells only.",
    "caution": "What a protocol that leaks would claim; nothing under `protocol: honest`.",
    "simulate": "Hide labels and replay annotation by every strategy.",
    "render": "Optional: images of the synthetic cells, by a decoder of the first fold.",
    "report": "Metrics, curves and the page.",
}
ProjectFolder = Annotated[
    Path, typer.Option("--project", help="Folder of params.yaml.", show_default="current folder")
]


def _add(name: str, summary: str) -> None:
    @app.command(name, help=summary)
    def command(project: ProjectFolder = Path()) -> None:
        from bloomdiff.stages import run_stage

        run_stage(name, project)


for _name, _summary in STAGES.items():
    _add(_name, _summary)
