"""Damage in DVC's cache, which DVC itself checks out without a word.

DVC trusts a cached file whose mode says read-only: one that a disk or a person has damaged is
copied into the project, and `dvc status` calls the project clean. The file's name is the MD5 of
what it should hold, so the damage can be found.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from bloomdiff.files import read_yaml

CACHE = Path(".dvc", "cache", "files", "md5")


@dataclass(frozen=True)
class Damage:
    """A cached file that does not hold what its name says, and the outputs that contain it."""

    path: Path
    outputs: tuple[str, ...]


def find_damage(root: Path) -> list[Damage]:
    """Hash every file of the project's cache again.

    Parameters
    ----------
    root
        The project; its cache is the usual folder.

    Returns
    -------
    list of Damage
        In the cache's order; outputs by their path in the project, a file of a tracked folder
        as the folder's.
    """
    from tqdm import tqdm

    files = sorted(path for path in (root / CACHE).glob("??/*") if path.is_file())
    damaged = [
        path
        for path in tqdm(files, desc="hashing the cache", unit="file", disable=None)
        if _md5(path) != path.parent.name + path.name.removesuffix(".dir")
    ]
    owners = _owners(root) if damaged else {}
    return [Damage(path, tuple(owners.get(path.parent.name + path.name, ()))) for path in damaged]


def remove_damage(root: Path, damage: list[Damage]) -> None:
    """Delete damaged files, and the outputs that were copied from them."""
    for one in damage:
        one.path.unlink(missing_ok=True)
        for name in one.outputs:
            output = root / name
            if output.is_dir():
                shutil.rmtree(output)
            else:
                output.unlink(missing_ok=True)


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        # DVC's name for a file, not a protection against anybody.
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _owners(root: Path) -> dict[str, list[str]]:
    """Name in the cache to the outputs of `dvc.lock` and `*.dvc` that contain it."""
    files = [read_yaml(path) for path in sorted(root.glob("*.dvc")) if path.is_file()]
    if (root / "dvc.lock").exists():
        files += (read_yaml(root / "dvc.lock") or {}).get("stages", {}).values()
    owners: dict[str, list[str]] = {}
    for out in (out for file in files for out in file.get("outs", []) if "md5" in out):
        name = str(out["md5"])
        owners.setdefault(name, []).append(out["path"])
        listing = root / CACHE / name[:2] / name[2:]
        if name.endswith(".dir") and listing.exists():
            try:
                inside = json.loads(listing.read_text())
            except ValueError:
                continue  # damaged itself, and named as such
            for entry in inside:
                owners.setdefault(entry["md5"], []).append(out["path"])
    return owners
