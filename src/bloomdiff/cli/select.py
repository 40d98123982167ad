"""`bloomdiff select`: which cells the expert should label next, and their labels back in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from bloomdiff.selection.queue import Queue

app = typer.Typer(
    help="Which cells should the expert label next? Without a command: make or continue a queue.",
    invoke_without_command=True,
)

QUEUE = Path("selection") / "queue.parquet"
Data = Annotated[Path, typer.Option("--data", help="Folder of the manifest.csv.")]


@app.callback()
def queue(
    context: typer.Context,
    n: Annotated[int, typer.Option("-n", min=1, help="Cells in the queue.")] = 100,
    strategy: Annotated[
        str, typer.Option(help="Name of a strategy; see docs/selection.md.")
    ] = "expected-gain",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Strategy's option.")
    ] = None,
    data: Data = Path("data"),
    embeddings: Annotated[Path, typer.Option(help="Embeddings of the cells.")] = Path(
        "embeddings/cells.parquet"
    ),
    out: Annotated[Path, typer.Option(help="Folder of the queue.")] = QUEUE.parent,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="coco, label-studio, cvat, csv, png, html; repeatable."),
    ] = None,
    fields: Annotated[
        Path | None,
        typer.Option(
            help="Show cells in their fields of view; the folder that column field is below."
        ),
    ] = None,
    unverified: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE", help="Its labels are a detector's: its cells are pool."),
    ] = None,
    scores: Annotated[
        Path | None, typer.Option(help="CSV: cell_id, score, one probability a class.")
    ] = None,
    max_fields: Annotated[int | None, typer.Option(min=1, help="Fields of view to open.")] = None,
    minutes: Annotated[float | None, typer.Option(help="The expert's minutes.")] = None,
    minutes_per_object: Annotated[float, typer.Option(help="Cost of a cell.")] = 0.25,
    minutes_per_field: Annotated[float, typer.Option(help="Cost of opening a field.")] = 0.5,
    per_field: Annotated[int | None, typer.Option(min=1, help="Cells of one field.")] = None,
    per_slide: Annotated[int | None, typer.Option(min=1, help="Cells of one group.")] = None,
    per_patient: Annotated[int | None, typer.Option(min=1, help="Cells of one patient.")] = None,
    per_class: Annotated[
        float | None, typer.Option(help="Largest share of one predicted class.")
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="NAME", help="Offer a class that no cell has; repeatable."),
    ] = None,
    min_cosine: Annotated[float, typer.Option(help="Embeddings alike from here on.")] = 0.995,
    min_iou: Annotated[float, typer.Option(help="Boxes of one cell from here on.")] = 0.5,
    look: Annotated[
        bool, typer.Option("--look/--no-look", help="Put blurred and odd crops last.")
    ] = True,
    fresh: Annotated[bool, typer.Option("--fresh", help="Do not continue the queue.")] = False,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 2,
) -> None:
    """Which cells should the expert label next? Without a command: make or continue a queue."""
    if context.invoked_subcommand is not None:
        _refuse_options(context)
        return
    from bloomdiff.cli.data import _values
    from bloomdiff.data.embedding_set import EmbeddingSet
    from bloomdiff.data.manifest import read_manifest
    from bloomdiff.errors import ParameterError
    from bloomdiff.selection.exchange import FORMATS, Sheet, write_formats
    from bloomdiff.selection.limits import Limits
    from bloomdiff.selection.plan import Plan, build_queue
    from bloomdiff.selection.pool import is_open
    from bloomdiff.validation import validated

    limits = {
        "objects": n,
        "fields": max_fields,
        "minutes": minutes,
        "minutes_per_object": minutes_per_object,
        "minutes_per_field": minutes_per_field,
        "per_field": per_field,
        "per_slide": per_slide,
        "per_patient": per_patient,
        "per_class": per_class,
    }
    plan = Plan(
        strategy,
        _values(settings),
        seed,
        validated(Limits, limits, "limits"),
        min_cosine,
        min_iou,
        tuple(classes or ()),
    )
    makers = [FORMATS[name]() for name in dict.fromkeys(formats or ())]
    file = out / QUEUE.name
    earlier = _earlier(file, damaged_too=fresh)
    before = None if fresh else earlier
    cells = read_manifest(data / "manifest.csv")
    made = build_queue(
        cells,
        EmbeddingSet.load(embeddings),
        plan,
        unverified=tuple(unverified or ()),
        scores_file=scores,
        images=data if look else None,
        manifest=data / "manifest.csv",
        before=before,
        jobs=jobs,
    )
    if not len(made) and "over a limit" in made.header["kept_out"]:
        raise ParameterError("the limits", "let no cell in", "raise the budget or the caps")
    # What an earlier queue took for a detector's label is no answer to it.
    doubted = {*made.unverified, *(earlier.unverified if earlier else ())}
    waits = is_open(cells, doubted)
    done = cells[~waits]
    if earlier is not None:
        made = made.after(earlier, set(cells.loc[waits, "cell_id"]))
    settled = dict(zip(done["cell_id"], done["label"], strict=True))
    sheet = Sheet.of(made, data, fields, settled)
    # The queue last: what it asks for is in every format.
    lines = write_formats(sheet, makers, out)
    made.save(file)
    for line in lines:
        typer.echo(line)
    _summarise(made, file)


def _earlier(file: Path, *, damaged_too: bool) -> Queue | None:
    """The queue of a file; None where there is none, or a damaged one that may be replaced."""
    from bloomdiff.errors import InputError
    from bloomdiff.selection.queue import Queue

    try:
        return Queue.load(file) if file.exists() else None
    except InputError:
        if damaged_too:
            return None
        raise


def _refuse_options(context: typer.Context) -> None:
    """Options before a command are of the queue, and would do nothing."""
    from bloomdiff.errors import ParameterError

    for option in context.command.params:
        source = context.get_parameter_source(str(option.name))
        if source is not None and source.name == "COMMANDLINE":
            command = context.invoked_subcommand
            raise ParameterError(
                f"{option.opts[0]} before {command}",
                "is an option of the queue",
                f"write it behind {command} if it has one of that name, or leave it out",
            )


@app.command("import")
def import_(
    answers: Annotated[Path, typer.Argument(metavar="FILE", help="What the annotator gave back.")],
    kind: Annotated[str, typer.Option("--format", help="coco, label-studio, cvat or csv.")],
    data: Data = Path("data"),
    queue_file: Annotated[Path, typer.Option("--queue", help="The queue that was sent.")] = QUEUE,
    out: Annotated[
        Path | None, typer.Option(help="New manifest.", show_default="in place of the old one")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace labels that differ.")
    ] = False,
) -> None:
    """Put the expert's labels into a new version of the manifest; all of them or none."""
    from contextlib import nullcontext

    from bloomdiff.data.manifest import read_manifest, write_manifest
    from bloomdiff.data.schema import VERIFIED
    from bloomdiff.selection.exchange import apply_answers, read_answers
    from bloomdiff.selection.lock import manifest_lock
    from bloomdiff.selection.pool import is_open
    from bloomdiff.selection.queue import Queue

    manifest = data / "manifest.csv"
    sent = Queue.load(queue_file)
    with manifest_lock(manifest) if out is None else nullcontext():
        before = read_manifest(manifest)
        done = before[before[VERIFIED] == "yes"] if VERIFIED in before else before.iloc[:0]
        labels = read_answers(answers, kind, sent, done, before["label"])
        cells = apply_answers(
            before,
            labels,
            manifest,
            unverified=sent.unverified,
            overwrite=overwrite,
        )
        write_manifest(cells, out or manifest)
    left = int(is_open(cells, sent.unverified).sum())
    whose = "an expert's label" if sent.unverified else "a label"
    typer.echo(f"{len(labels)} labels: {out or manifest}; {left} cells without {whose}")


@app.command()
def simulate(
    project: Annotated[
        Path, typer.Option("--project", help="Folder of params.yaml.", show_default="current")
    ] = Path(),
) -> None:
    """Hide labels and replay annotation by every strategy of params.yaml's block `simulate`."""
    from bloomdiff.stages import run_stage

    run_stage("simulate", project)
    typer.echo((project / "reports" / "selection" / "summary.md").read_text(encoding="utf-8"))


def _summarise(made: Any, file: Path) -> None:
    taken = made.header["taken"]
    for row in made.table.head(10).itertuples():
        typer.echo(f"{row.rank:4d}  {row.cell_id}  {row.reason}")
    if len(made) > 10:
        typer.echo(f"   … {len(made) - 10} more")
    if len(made.earlier):
        typer.echo(f"asked for before, neither labelled nor asked for now: {len(made.earlier)}")
    for reason, count in made.header["kept_out"].items():
        typer.echo(f"kept out, {reason}: {count}")
    if len(made.review):
        typer.echo(f"labels to look at again: {len(made.review)}")
        for row in made.review.head(5).itertuples():
            typer.echo(f"      {row.cell_id}  labelled {row.label}  {row.reason}")
    typer.echo(
        f"{taken['objects']} cells, {taken['fields']} fields, {taken['minutes']} minutes: {file}"
    )
