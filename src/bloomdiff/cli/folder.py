"""The folder that a command is pointed at, or is called in, must be a project."""

from __future__ import annotations

from pathlib import Path


def project_folder(folder: Path, has: str) -> Path:
    """Resolve a project's folder, which has a file of the name `has`; else an `InputError`."""
    from bloomdiff.errors import InputError

    if not (folder / has).is_file():
        raise InputError(str(folder / has), "no such file", "name a project's folder by --project")
    return folder.resolve()
