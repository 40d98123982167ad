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
        bool,
        typer.Option("--remove", help="Delete what is damaged in it, and say what brings it back."),
    ] = False,
) -> None:
    """Hash DVC's cache again and name what is damaged; DVC itself would not notice."""
    from bloomdiff.errors import IntegrityError
    from bloomdiff.experiments.dvc_cache import find_damage, name_in
    from bloomdiff.experiments.dvc_cache_removal import remove_damage

    root = project_folder(project, "dvc.yaml")
    damage = find_damage(root)
    for one in damage:
        of = ", ".join(one.outputs) or "nothing that is in use"
        typer.echo(f"damaged: {name_in(root, one.path)}, of {of}")
    if not damage:
        typer.echo("the cache is whole")
        return
    mend = "run `bloomdiff cache --remove`, which says what brings each file back"
    if remove:
        for line in remove_damage(root, damage):
            typer.echo(line)
        damage = [one for one in damage if one.path.exists()]
        mend = "replace the links that are named above"
    if damage:
        raise IntegrityError("DVC's cache", f"holds {len(damage)} damaged files", mend)


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("cache")(cache)
