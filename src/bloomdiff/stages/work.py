"""What lets a stage survive `kill -9`: one lock a stage, and finished units kept until it ends.

DVC removes a stage's outputs before it runs, and killing DVC leaves the stage's own process alive.
So a stage first waits for such an orphan, and keeps each finished unit of its work (one fold and
generator, say) under `.bloomdiff/`, keyed by everything that the unit depends on: the parameters,
the inputs, the code. The next run takes up those units and computes the rest.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import bloomdiff
from bloomdiff.files import atomic_dir
from bloomdiff.threads import one_thread

Unit = tuple[str, ...]
LOOK = 0.2
"""Seconds between two looks of a worker at its stage's process."""


@contextmanager
def stage_lock(working: Path, stage: str) -> Iterator[None]:
    """Hold the lock of `stage`, waiting for whoever holds it now."""
    path = working / "locks" / f"{stage}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{stage}: waiting for an earlier run of this stage to end", file=sys.stderr)
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@cache
def source_digest() -> str:
    """SHA-256 over the package's own code: partial results never outlive a change to it."""
    folder = Path(bloomdiff.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return digest.hexdigest()


def key_of(*parts: Any) -> str:
    """Digest of plain data and of the code: the key under which units are kept."""
    text = json.dumps([source_digest(), *parts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def run_units(
    function: Callable[..., None],
    units: Sequence[Unit],
    *,
    working: Path,
    key: str,
    jobs: int,
    describe: str,
) -> Callable[[Unit], Path]:
    """Run `function(folder, *unit)` for every unit that is not finished yet, in worker processes.

    Parameters
    ----------
    function
        Picklable; writes the unit's files into the folder that it is given.
    units
        Names of the units; the order is that of the work.
    working
        The stage's folder for partial results, see `finish`.
    key
        Digest of everything that all units depend on, see `key_of`.
    jobs
        Worker processes, each with one thread of arithmetic.
    describe
        Title of the progress bar.

    Returns
    -------
    callable
        Maps a unit to the folder that holds its files.
    """
    import joblib
    from tqdm import tqdm

    def folder(unit: Unit) -> Path:
        return working / key / "__".join(unit)

    todo = [unit for unit in units if not folder(unit).exists()]
    owner = os.getpid()
    work = (joblib.delayed(_run_unit)(function, folder(unit), unit, owner) for unit in todo)
    pool = joblib.Parallel(n_jobs=max(1, min(jobs, len(todo))), return_as="generator_unordered")
    bar = tqdm(total=len(units), initial=len(units) - len(todo), desc=describe, unit="unit")
    with bar:
        for _ in pool(work) if todo else ():
            bar.update()
    return folder


def _run_unit(function: Callable[..., None], folder: Path, unit: Unit, owner: int) -> None:
    import torch  # noqa: F401 - so that it is held to one thread as well

    if os.getpid() != owner:
        _die_with(owner)
    # The workers share the cores, threads beyond them only wait. Nor would the last bits be the
    # same: in this process libraries would have all cores, in a worker a share of them.
    with one_thread(), atomic_dir(folder) as temporary:
        function(temporary, *unit)


@cache
def _die_with(owner: int) -> None:
    """End this worker when the stage's process does, which holds the lock of its work.

    Where that was killed, a worker would go on beside those of the next run: its trials would be
    seen by studies that an undisturbed run does not show them to.
    """

    def watch() -> None:
        while os.getppid() == owner:
            time.sleep(LOOK)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="owner").start()


def finish(working: Path) -> None:
    """Forget the partial results of a stage whose outputs are in place."""
    shutil.rmtree(working, ignore_errors=True)
