"""`bloomdiff data sources|get|vocabulary`: the published data sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bloomdiff.data.published import Source


def register(app: typer.Typer) -> None:
    """Add the commands to `bloomdiff data`."""
    app.command()(sources)
    app.command()(get)
    app.command()(vocabulary)


def sources(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="One data set.", show_default="all")
    ] = "",
) -> None:
    """List the published data sets: size, classes, licence, citation, where, seen by DinoBloom."""
    from bloomdiff.data.published import PUBLISHED
    from bloomdiff.data.sources import find_source

    chosen = [find_source(name)] if name else list(PUBLISHED.values())
    typer.echo(_table(chosen))
    for source in chosen:
        typer.echo(_details(source))


def _table(chosen: list[Source]) -> str:
    head = ("name", "images", "classes", "download", "DinoBloom saw it", "licence")
    rows = [
        (s.name, f"{s.images:,}", f"{s.classes}", s.size, s.seen, s.licence.split(",")[0])
        for s in chosen
    ]
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]
    return "\n".join(lines) + "\n"


def _details(source: Source) -> str:
    by_program = f"bloomdiff data get {source.name}" if source.files else ""
    told = {
        "page": source.page,
        "get": "; then ".join(filter(None, (by_program, source.manual))),
        "DinoBloom": f"{source.seen}{source.seen_note and f' ({source.seen_note})'}",
        "licence": source.licence,
        "cite": source.citation,
    }
    lines = [f"{source.name}: {source.title}"]
    lines += [f"  {key:<10} {value}" for key, value in told.items()]
    return "\n".join(lines) + "\n"


def get(
    name: Annotated[str, typer.Argument(metavar="NAME", help="See `bloomdiff data sources`.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of downloads.")] = Path("downloads"),
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="FILE", help="Only this file of the set.")
    ] = None,
    no_verify: Annotated[
        bool, typer.Option("--no-verify", help="Take files without a published checksum.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the archives as well.")] = False,
) -> None:
    """Download, verify and unpack a published data set; run it again to resume."""
    from bloomdiff.data.acquire import get as get_source
    from bloomdiff.data.sources import find_source

    source = find_source(name)
    folder = get_source(source, out, only=only or (), verify=not no_verify, keep=keep)
    typer.echo(f"{folder}: whole{'' if not no_verify else ', but not verified'}")
    if source.manual:
        typer.echo(source.manual)
    typer.echo(f"next: bloomdiff data import {name} {folder}")


def vocabulary() -> None:
    """Print each cell class with its lineage and its code in every source, as Markdown."""
    from bloomdiff.data.vocabulary import to_markdown

    typer.echo(to_markdown(), nl=False)
