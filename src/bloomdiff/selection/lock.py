"""One writer of a manifest at a time: whoever reads it to change it waits for the one before."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bloomdiff.errors import InputError


@contextmanager
def manifest_lock(manifest: Path) -> Iterator[None]:
    """Hold the lock of a manifest, waiting for whoever holds it now.

    Its file lies beside the manifest and is gone afterwards: the folder of the images is versioned
    as a whole.

    Raises
    ------
    InputError
        There is no such manifest, or its folder cannot be written to.
    """
    if not manifest.exists():
        raise InputError(
            str(manifest), "no such file", "import images with `bloomdiff data import`"
        )
    path = manifest.with_name(f".{manifest.name}.lock")
    while True:
        with _opened(path) as stream:
            _wait(stream, manifest)
            # A lock on a file that its last holder has removed keeps nobody out.
            if not _is_at(stream, path):
                continue
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _opened(path: Path) -> IO[str]:
    try:
        return path.open("w")
    except OSError as error:  # a folder that is read-only, or a lock that another user has left
        raise InputError(
            str(path), f"cannot be written ({error.strerror})", "make its folder and it writable"
        ) from None


def _wait(stream: IO[str], manifest: Path) -> None:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"{manifest}: waiting for another import to end", file=sys.stderr)
        fcntl.flock(stream, fcntl.LOCK_EX)


def _is_at(stream: IO[str], path: Path) -> bool:
    """Whether the open file is the one at `path`."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False
