"""`bloomdiff data`: bring images in, draw the phantom, check a manifest."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bloomdiff.cli import sources

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(
    help="Bring images in, draw the digital phantom, check a manifest.", no_args_is_help=True
)
sources.register(app)

Out = Annotated[Path, typer.Option("--out", help="Folder of the images and their manifest.csv.")]
Jobs = Annotated[int, typer.Option("--jobs", min=1, help="Worker processes.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any other option.")
]
_CORES = os.cpu_count() or 1


@app.command("import")
def import_(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="folder, csv, medmnist, coco, voc, yolo, or a published set's name.",
            show_default=False,
        ),
    ],
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="Where the data are.", show_default=False)
    ],
    out: Out = Path("data"),
    source: Annotated[
        str, typer.Option(help="Name of the data set.", show_default="that of PATH")
    ] = "",
    append: Annotated[bool, typer.Option("--append", help="Join the manifest there.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Drop the manifest there, with its images.")
    ] = False,
    keep: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Keep only such classes.")
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Leave a class out.")
    ] = None,
    rename: Annotated[
        list[str] | None, typer.Option("--map", metavar="OLD=NEW", help="Rename a class.")
    ] = None,
    common_classes: Annotated[
        bool,
        typer.Option(
            "--common-classes",
            help="Keep only classes that every source has, by their common names.",
        ),
    ] = False,
    group: Annotated[
        str | None,
        typer.Option(metavar="REGEX", help="Finds the patient or slide in a relative path."),
    ] = None,
    types: Annotated[
        Path | None, typer.Option(metavar="FILE", help="voc: the white cell's type per field.")
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(help="coco, voc, yolo, csv: surroundings kept around a box, of its side."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="OURS=THEIRS", help="csv: which column is path, label, group, ..."),
    ] = None,
    settings: Settings = None,
    jobs: Jobs = _CORES,
) -> None:
    """Write images and manifest from any supported layout; all of it or nothing."""
    from tqdm.contrib.logging import logging_redirect_tqdm

    from bloomdiff.data.importers import ClassRules, import_cells

    params = _values(settings)
    given = {"group": group, "types": types, "margin": margin}
    params |= {key: value for key, value in given.items() if value is not None}
    if column:
        params["columns"] = dict(_pair(item, "--column") for item in column)
    rules = ClassRules(
        keep=tuple(keep or ()),
        drop=tuple(drop or ()),
        rename=dict(_pair(item, "--map") for item in rename or ()),
        common=common_classes,
    )
    with logging_redirect_tqdm():
        cells = import_cells(
            kind,
            path,
            out,
            params,
            source=source,
            classes=rules,
            jobs=jobs,
            append=append,
            replace=replace,
        )
    _summarise(cells)


@app.command()
def phantom(
    out: Out = Path("data"),
    project: Annotated[
        Path | None,
        typer.Option("--project", help="Folder of params.yaml.", show_default="current"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed.", show_default="that of params.yaml, or 0")
    ] = None,
    settings: Settings = None,
    jobs: Jobs = _CORES,
) -> None:
    """Draw a stained smear whose true distribution is known, by `phantom` in params.yaml."""
    from bloomdiff.cli.folder import project_folder
    from bloomdiff.data.manifest import read_manifest
    from bloomdiff.data.phantom import PhantomParams, write_phantom
    from bloomdiff.params import load_params
    from bloomdiff.validation import validated

    values: dict[str, Any] = {}
    # Only the folder that nobody named may have none.
    folder = Path() if project is None else project_folder(project, "params.yaml")
    if (folder / "params.yaml").exists():
        loaded = load_params(folder / "params.yaml")
        values = loaded.phantom.model_dump()
        seed = loaded.seed if seed is None else seed
    params = validated(PhantomParams, values | _values(settings), "phantom")
    write_phantom(out, params, seed=seed or 0, jobs=jobs)
    _summarise(read_manifest(out / "manifest.csv"))


@app.command()
def validate(
    data: Annotated[Path, typer.Argument(help="Folder of the manifest.csv.")] = Path("data"),
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="NAME", help="A known label; any if none is given."),
    ] = None,
    jobs: Jobs = _CORES,
) -> None:
    """Check the manifest and every image; list all problems."""
    from bloomdiff.data.manifest import read_manifest
    from bloomdiff.data.validate import validate_manifest

    cells = read_manifest(data / "manifest.csv")
    _summarise(validate_manifest(cells, data, classes=classes, jobs=jobs))


def _pair(text: str, option: str) -> tuple[str, str]:
    from bloomdiff.errors import ParameterError

    left, sign, right = text.partition("=")
    if not (left and sign):
        raise ParameterError(f"{option} {text!r}", "has no '='", "write it as NAME=VALUE")
    return left, right


def _values(settings: list[str] | None) -> dict[str, Any]:
    """``key=value`` pairs, the values read as YAML."""
    import yaml

    from bloomdiff.errors import ParameterError

    values: dict[str, Any] = {}
    for item in settings or ():
        key, text = _pair(item, "--set")
        try:
            values[key] = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError):  # the latter of dates that there are none
            raise ParameterError(f"--set {item!r}", "is not YAML", "quote the value") from None
    return values


def _summarise(cells: pd.DataFrame) -> None:
    """Print cells and groups of each class."""
    named = cells.assign(label=cells["label"].where(cells["label"] != "", "(unlabelled)"))
    table = named.groupby(["source", "label"]).agg(
        cells=("cell_id", "size"), groups=("group", "nunique")
    )
    typer.echo(table.reset_index().rename(columns={"label": "class"}).to_string(index=False))
    typer.echo(f"{len(cells)} cells, {cells['group'].nunique()} groups")
