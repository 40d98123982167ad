"""Taking damage out of DVC's cache, and nothing that is whole out of the project."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from bloomdiff.errors import InputError
from bloomdiff.experiments.dvc_cache import Copy, Damage, digest_of, is_whole, name_in


def remove_damage(root: Path, damage: list[Damage]) -> Iterator[str]:
    """Delete damaged files of the cache, and single files of stages that are damaged as well.

    What is whole in the project stays, and so does everything that a `*.dvc` file tracks: it is
    the user's own. A cached file that such data is a link to stays as well.

    Yields
    ------
    str
        What was done to a file, and what brings it back.

    Raises
    ------
    InputError
        A file cannot be read or deleted; what was told before is done.
    """
    for one in damage:
        links = [copy.path for copy in one.copies if not copy.remade and _is(copy.path, one.path)]
        if links:
            yield (
                f"kept {one.path}: {name_in(root, links[0])} is a link to it; put a whole file in"
                " the link's place and run this again"
            )
            continue
        for copy in one.copies:
            yield _settle(root, copy, digest_of(one.path))
        _delete(one.path)
        yield f"removed {one.path}"


def _settle(root: Path, copy: Copy, digest: str) -> str:
    """Delete a copy that is damaged and can be made again; tell what brings the cache's back."""
    name, stage = name_in(root, copy.path), copy.stage
    if is_whole(copy.path, digest):
        return f"kept {name}, which is whole: `dvc commit {stage}` puts it back into the cache"
    if not copy.remade:
        state = "is not what it was either" if os.path.lexists(copy.path) else "is missing"
        return (
            f"deleted nothing in {copy.output}; {name} {state}: `dvc pull {stage}` brings it back"
            f" from a remote, or put it there yourself and run `dvc commit {stage}`"
        )
    if copy.path.is_dir() or not os.path.lexists(copy.path):
        return f"{name}: `dvc pull {stage}` or `dvc repro {stage}` brings it back"
    _delete(copy.path)
    return f"removed {name} as well: `dvc pull {stage}` or `dvc repro {stage}` brings it back"


def _delete(path: Path) -> None:
    try:
        path.unlink()
    except OSError as error:
        mend = "let it be deleted and run this again"
        raise InputError(str(path), f"cannot be deleted ({error.strerror})", mend) from None


def _is(path: Path, cached: Path) -> bool:
    return path.is_symlink() and path.resolve() == cached.resolve()
