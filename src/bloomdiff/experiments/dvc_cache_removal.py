"""Taking damage out of DVC's cache, and never a whole file out of the project."""

from __future__ import annotations

import os
from pathlib import Path

from bloomdiff.experiments.dvc_cache import Copy, Damage, digest_of, is_whole


def remove_damage(root: Path, damage: list[Damage]) -> tuple[list[str], list[Damage]]:
    """Delete damaged files of the cache, and single files of stages that are damaged as well.

    What is whole in the project stays, and so does everything that a `*.dvc` file tracks: it is
    the user's own. A cached file that such data is a link to stays as well.

    Returns
    -------
    list of str
        What was done to each file, and what brings it back.
    list of Damage
        What is still in the cache.
    """
    told, kept = [], []
    for one in damage:
        links = [copy.path for copy in one.copies if not copy.remade and _is(copy.path, one.path)]
        if links:
            kept.append(one)
            told.append(
                f"kept {one.path}: {_in(root, links[0])} is a link to it; put a whole file in the"
                " link's place and run this again"
            )
            continue
        told_of_copies = [_settle(root, copy, digest_of(one.path)) for copy in one.copies]
        one.path.unlink(missing_ok=True)
        told += [f"removed {one.path}", *told_of_copies]
    return told, kept


def _settle(root: Path, copy: Copy, digest: str) -> str:
    """Delete a copy that is damaged and can be made again; tell what brings the cache's back."""
    name, stage = _in(root, copy.path), copy.stage
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
    copy.path.unlink()
    return f"removed {name} as well: `dvc pull {stage}` or `dvc repro {stage}` brings it back"


def _is(path: Path, cached: Path) -> bool:
    return path.is_symlink() and path.resolve() == cached.resolve()


def _in(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
