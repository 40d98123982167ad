"""`bloomdiff cache`: find out whether what DVC keeps is still what it was."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bloomdiff.cli.folder import project_folder

ProjectFolder = Annotated[
    Path, typer.Option("--project", help="Folder of dvc.yaml.", show_default="current folder")
]


def cache(
    project: ProjectFolder = Path(),
    remove: Annotated[
        bool, typer.Option("--remove", help="Delete what is damaged, for DVC to bring back.")
    ] = False,
) -> None:
    """Hash DVC's cache again and name what is damaged; DVC itself would not notice."""
    from bloomdiff.errors import IntegrityError
    from bloomdiff.experiments.dvc_cache import find_damage, remove_damage

    root = project_folder(project, "dvc.yaml")
    damage = find_damage(root)
    for one in damage:
        of = ", ".join(one.outputs) or "nothing that is in use"
        typer.echo(f"damaged: {one.path.relative_to(root)}, of {of}")
    if not damage:
        typer.echo("the cache is whole")
    elif remove:
        remove_damage(root, damage)
        typer.echo("removed; `dvc pull` or `dvc repro` brings it back")
    else:
        raise IntegrityError(
            str(root / ".dvc" / "cache"),
            f"holds {len(damage)} damaged files",
            "run `bloomdiff cache --remove`, then `dvc pull` or `dvc repro`",
        )


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("cache")(cache)
