"""An import is either whole or absent: images and manifest are prepared aside, then moved in.

Everything is written into a hidden folder inside the target. Moving it in takes several renames,
so the order is such that an interrupted one can be undone by the next import: the manifest,
prepared in the hidden folder, moves last, and while it is still there the import is not done.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bloomdiff.data.manifest import write_manifest
from bloomdiff.data.schema import is_inside
from bloomdiff.errors import InputError
from bloomdiff.files import writable

_PREFIX = ".importing-"
_SOURCE = "source.txt"
MANIFEST = "manifest.csv"


@dataclass(frozen=True)
class Staging:
    """The hidden folder of one import into `out`; `images` in it becomes ``images/<source>``."""

    out: Path
    folder: Path
    source: str

    @property
    def images(self) -> Path:
        """Where the new images are written."""
        return self.folder / "new" / self.source

    def commit(self, cells: pd.DataFrame, retired: Iterable[str]) -> None:
        """Move the new images in, the retired ones out, and put the manifest in place.

        Raises
        ------
        InputError
            ``images/<source>`` holds files that are not in the old manifest; nothing has changed.
        """
        retired = sorted(path for path in set(retired) if is_inside(path))
        target = self.out / "images" / self.source
        strays = {p.relative_to(self.out).as_posix() for p in _files(target)}
        strays -= set(retired)
        if strays:
            raise InputError(
                str(self.out / min(strays)),
                "is in the way and in no manifest",
                f"move {target} elsewhere or give another --source",
            )
        write_manifest(cells, self.folder / MANIFEST)
        for path in retired:
            if os.path.lexists(self.out / path):
                _move(self.out / path, self.folder / "retired" / path)
        _prune(self.out / "images")
        _move(self.images, target)
        (self.folder / MANIFEST).replace(self.out / MANIFEST)


@contextmanager
def staging(out: Path, source: str) -> Iterator[Staging]:
    """Yield a `Staging`; what is not committed when the block ends is taken back.

    Raises
    ------
    InputError
        Another import into `out` is running, or something else is where its images go.
    """
    created = not out.exists()
    with writable(out):
        pass
    with _lock(out):
        _settle(out)
        _check_places(out, source)
        with writable(out):
            folder = Path(tempfile.mkdtemp(dir=out, prefix=_PREFIX))
        try:
            stage = Staging(out, folder, source)
            stage.images.mkdir(parents=True)
            (folder / _SOURCE).write_text(source, encoding="utf-8")
            yield stage
        finally:
            _settle(out)
            if created and not any(out.iterdir()):
                out.rmdir()


def _check_places(out: Path, source: str) -> None:
    """Refuse what no folder of images can take the place of: told before the long work."""
    images = out / "images"
    target = images / source
    for place, odd in (
        (images, os.path.lexists(images) and not images.is_dir()),
        (target, os.path.lexists(target) and (target.is_symlink() or not target.is_dir())),
    ):
        if odd:
            raise InputError(str(place), "is in the way and no folder", "move it elsewhere")


@contextmanager
def _lock(out: Path) -> Iterator[None]:
    import fcntl

    handle = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # freed by the system on any death
        yield
    except BlockingIOError:
        raise InputError(str(out), "another import is writing here", "wait for it") from None
    finally:
        os.close(handle)


def _settle(out: Path) -> None:
    """Undo imports that were interrupted, and clear away what finished ones left."""
    for folder in sorted(out.glob(f"{_PREFIX}*")):
        if (folder / MANIFEST).exists():
            # Every step may be the last of this attempt, and the first of the next.
            source = (folder / _SOURCE).read_text(encoding="utf-8")
            new, target = folder / "new" / source, out / "images" / source
            if target.exists() and not new.exists():
                _move(target, new)
            retired = folder / "retired"
            for path in _files(retired):
                _move(path, out / path.relative_to(retired))
            (folder / MANIFEST).unlink()  # undone: from here on it is only cleared away
        shutil.rmtree(folder, ignore_errors=True)


def _files(folder: Path) -> list[Path]:
    """Every file below a folder; links too, which lead nowhere once they have moved."""
    return [path for path in folder.rglob("*") if path.is_symlink() or path.is_file()]


def _move(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)


def _prune(folder: Path) -> None:
    """Remove folders that hold no file, from the leaves up."""
    for child in sorted(folder.rglob("*"), reverse=True):
        if child.is_dir() and not any(child.iterdir()):
            child.rmdir()
