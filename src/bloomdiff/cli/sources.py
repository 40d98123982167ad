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

    for source in [find_source(name)] if name else PUBLISHED.values():
        typer.echo(_describe(source))


def _describe(source: Source) -> str:
    seen = source.seen + (f", {source.seen_note}" if source.seen_note else "")
    if source.files:
        note = f" ({source.manual})" if source.manual else ""
        how = f"bloomdiff data get {source.name}{note}"
    else:
        how = source.manual
    told = {
        "holds": f"{source.images:,} images of {source.classes} classes, {source.size}",
        "licence": source.licence,
        "seen by DinoBloom": seen,
        "page": source.page,
        "get": how,
        "cite": source.citation,
    }
    lines = [f"{source.name}: {source.title}"]
    lines += [f"  {key:<18} {value}" for key, value in told.items()]
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
