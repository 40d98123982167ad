"""Which process is which, and whether it still lives: the owner of a pipeline execution."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import PurePath


def this_process() -> str:
    """Name the calling process: host, pid and start, so that a reused pid is another process."""
    return _name(os.getpid())


def pipeline_owner() -> str:
    """Name the process that stands for the pipeline execution.

    It is the nearest ancestor that runs the `dvc` command, since DVC starts every stage as a
    process of its own; the calling process where there is none.
    """
    import psutil

    for ancestor in psutil.Process().parents():
        try:
            if is_dvc(ancestor.cmdline()):
                return _name(ancestor.pid)
        except psutil.Error:
            continue
    return this_process()


def is_dvc(command: Sequence[str]) -> bool:
    """Whether a command line is DVC's: `dvc ...`, `python .../bin/dvc ...`, `python -m dvc ...`."""
    return any(PurePath(word).name in {"dvc", "dvc.exe"} for word in command[:3])


def is_alive(name: str, *, elsewhere: bool = True) -> bool:
    """Whether a process named by this module still runs.

    Of one on another host nothing is known: it counts as `elsewhere` says.
    """
    import psutil

    host, pid, started = name.rsplit(":", 2)
    if host != platform.node():
        return elsewhere
    try:
        process = psutil.Process(int(pid))
        # The clock's correction may shift a start by a moment; a reused pid is far away.
        same = abs(process.create_time() - float(started)) < 2
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _name(pid: int) -> str:
    import psutil

    return f"{platform.node()}:{pid}:{psutil.Process(pid).create_time():.2f}"
