"""`bloomdiff embeddings`: to AnnData, Parquet and feature bags, and in from feature bags."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Embeddings to and from other tools' files.", no_args_is_help=True, add_completion=False
)


class Target(StrEnum):
    """What `export` can write."""

    anndata = "anndata"
    parquet = "parquet"
    bags = "bags"


class BagLayout(StrEnum):
    """Layouts of a feature bag."""

    marr = "marr"
    trident = "trident"


@app.command("export")
def export(
    out: Annotated[Path, typer.Argument(help="File, or folder for bags.")],
    to: Annotated[Target, typer.Option(help="Form to write.")],
    embeddings: Annotated[Path, typer.Option(help="Set of embeddings to read.")] = Path(
        "embeddings/cells.parquet"
    ),
    manifest: Annotated[
        Path | None, typer.Option(help="Manifest whose further columns go into `obs`.")
    ] = None,
    layout: Annotated[BagLayout, typer.Option(help="Layout of the bags.")] = BagLayout.marr,
) -> None:
    """Write a set of embeddings for other tools."""
    from bloomdiff.data.embedding_set import EmbeddingSet

    loaded = EmbeddingSet.load(embeddings)
    if to is Target.anndata:
        from bloomdiff.data.manifest import read_manifest
        from bloomdiff.encoders.anndata_export import write_anndata

        write_anndata(loaded, out, cells=None if manifest is None else read_manifest(manifest))
    elif to is Target.bags:
        from bloomdiff.encoders.bags import write_bags

        write_bags(loaded, out, layout=layout.value)
    else:
        loaded.save(out)
    typer.echo(f"{len(loaded)} embeddings of {loaded.dim} numbers: {out}")


@app.command("import-bags")
def import_bags(
    bags: Annotated[Path, typer.Argument(help="Folder of HDF5 feature bags, or one of them.")],
    out: Annotated[Path, typer.Option(help="Set of embeddings to write.")] = Path(
        "embeddings/cells.parquet"
    ),
    encoder: Annotated[
        str | None, typer.Option(help="What made them, where the bags do not say it.")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="CSV with the columns `patient` (bag stem) and `label`, for cells that their bag"
            " gives no label; one that contradicts the bag's own is refused."
        ),
    ] = None,
) -> None:
    """Read feature bags, one a patient, as a set of embeddings; each bag is a group."""
    from bloomdiff.encoders.bags import read_bag_labels, read_bags

    table = {} if labels is None else read_bag_labels(labels)
    loaded = read_bags(bags, encoder=encoder, labels=table)
    loaded.save(out)
    groups = loaded.rows["group"].nunique()
    typer.echo(f"{len(loaded)} embeddings of {loaded.dim} numbers from {groups} bags: {out}")
