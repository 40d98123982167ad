"""Damage in DVC's cache, which DVC itself checks out without a word.

DVC trusts a cached file whose mode says read-only: one that a disk or a person has damaged is
copied into the project, and `dvc status` calls the project clean. The file's name is the MD5 of
what it should hold, so the damage can be found.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bloomdiff.errors import InputError


@dataclass(frozen=True)
class Copy:
    """What a cached file was copied to in the project.

    Parameters
    ----------
    path
        The file; the folder where the cached file lists a folder's files.
    output
        The output that it is or lies in, as a path in the project.
    stage
        What DVC calls the output's stage, or the `*.dvc` file.
    remade
        `dvc repro` can make it again.
    """

    path: Path
    output: str
    stage: str
    remade: bool


@dataclass(frozen=True)
class Damage:
    """A cached file that does not hold what its name says, and its copies in the project."""

    path: Path
    copies: tuple[Copy, ...]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs that contain it."""
        return tuple(dict.fromkeys(copy.output for copy in self.copies))


def find_damage(root: Path) -> list[Damage]:
    """Hash every file of the project's cache again, wherever DVC keeps it.

    Parameters
    ----------
    root
        The project.

    Returns
    -------
    list of Damage
        In the cache's order; outputs by their path in the project, a file of a tracked folder
        as the folder's.

    Raises
    ------
    InputError
        The folder is no project of DVC's, or its cache holds no file.
    """
    from tqdm import tqdm

    with _repo(root) as repo:
        cache = Path(repo.cache.local.path)
        files = sorted(path for path in cache.glob("??/*") if path.is_file())
        if not files:
            raise InputError(
                f"DVC's cache {cache}",
                "holds no file, so nothing was hashed",
                "fill it by `dvc pull` or `dvc repro`, or name its place by `dvc cache dir`",
            )
        told = tqdm(files, desc="hashing the cache", unit="file", disable=None)
        damaged = [path for path in told if _md5(path) != digest_of(path).removesuffix(".dir")]
        copies = _copies(root, repo, cache, set(damaged)) if damaged else {}
    return [Damage(path, tuple(copies.get(digest_of(path), ()))) for path in damaged]


def digest_of(path: Path) -> str:
    """The digest that a cached file is named after; a folder's ends in `.dir`."""
    return path.parent.name + path.name


def is_whole(path: Path, digest: str) -> bool:
    """Whether a file or a folder of the project holds what a digest says."""
    if not digest.endswith(".dir"):
        return path.is_file() and _md5(path) == digest
    if not path.is_dir():
        return False
    files = sorted((file.relative_to(path).as_posix(), file) for file in path.rglob("*"))
    listing = [{"md5": _md5(file), "relpath": name} for name, file in files if file.is_file()]
    told = json.dumps(listing, sort_keys=True).encode()  # as DVC writes it
    return hashlib.md5(told, usedforsecurity=False).hexdigest() == digest.removesuffix(".dir")


def _md5(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            # DVC's name for a file, not a protection against anybody.
            digest = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False))
    except OSError as error:
        raise InputError(
            str(path), f"cannot be read ({error.strerror})", "make it readable"
        ) from None
    return digest.hexdigest()


@contextmanager
def _repo(root: Path) -> Iterator[Any]:
    """DVC's own view of the project; what DVC objects to is an `InputError`."""
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            yield repo
    except NotDvcRepoError:
        raise InputError(
            str(root), "is not inside a DVC repository", "run `dvc init` there"
        ) from None
    except DvcException as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(str(root), f"DVC says: {reason}", "mend what `dvc status` names") from None


def _copies(root: Path, repo: Any, cache: Path, damaged: set[Path]) -> dict[str, list[Copy]]:
    """Name in the cache to the project's files that it is a copy of."""
    copies: dict[str, list[Copy]] = {}
    for out in repo.index.outs:
        if not (out.use_cache and out.hash_info):
            continue
        stage, place, name = out.stage, Path(out.fs_path), str(out.hash_info.value)
        of = {
            "output": name_in(root, place),
            "stage": stage.addressing,
            "remade": bool(
                stage.cmd
                and not stage.path_in_repo.endswith(".dvc")
                and not stage.frozen
                and not out.persist
            ),
        }
        copies.setdefault(name, []).append(Copy(place, **of))
        listing = cache / name[:2] / name[2:]
        if name.endswith(".dir") and listing not in damaged and listing.is_file():
            for entry in json.loads(listing.read_text(encoding="utf-8")):
                copies.setdefault(entry["md5"], []).append(Copy(place / entry["relpath"], **of))
    return copies


def name_in(root: Path, path: Path) -> str:
    """A path as it is told: in the project where it lies there."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
