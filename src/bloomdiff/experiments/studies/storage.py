"""Where studies are kept: an SQLite file, a journal file, or a database server for many machines.

Workers die. On a database server the storage itself finds out: each running trial sends a
heartbeat, and one that falls silent is failed and queued again. The two kinds of files belong to
one machine, whose processes can be asked instead.
"""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bloomdiff.errors import InputError
from bloomdiff.experiments.mlflow_store import connect_timeout
from bloomdiff.experiments.processes import is_alive
from bloomdiff.experiments.sqlite import spare_flushes, use_write_ahead_log

WRITER = "process"
SQLITE = "sqlite:///"
JOURNAL = "journal:///"
MAX_RETRIES = 3


def storage_from(root: Path, storage: str) -> str:
    """The same storage with a file's relative path begun at `root`."""
    prefix = JOURNAL if storage.startswith(JOURNAL) else SQLITE
    path = storage.removeprefix(prefix)
    # Another URL is a server's, or one that is refused.
    if "://" in path or path in ("", ":memory:") or path.startswith("file:"):
        return storage
    return f"{prefix}{root.absolute() / path}"


def open_storage(
    storage: str, *, heartbeat: int = 30, lost: Callable[[Any], None] | None = None
) -> Any:
    """Open a storage, creating its tables or its file where missing.

    Parameters
    ----------
    storage
        `sqlite:///PATH` or a plain path, `journal:///PATH`, or SQLAlchemy's URL of a database
        server, such as `postgresql+psycopg://user@host/database`.
    heartbeat
        Seconds between the signs of life of a trial, on a server; four of them missing in a row
        fail it. A failed trial is queued again, at most three times.
    lost
        Told, on a server, about each trial that this process fails.

    Raises
    ------
    InputError
        The URL names no file, the file cannot be written, the database server refuses, or its
        driver is not installed.
    """
    url = storage if "://" in storage else f"{SQLITE}{storage}"
    for prefix in (SQLITE, JOURNAL):
        if url.startswith(prefix.rstrip("/")):
            return _open_file(url, prefix)
    return _open_server(url, heartbeat, lost)


def _open_file(url: str, prefix: str) -> Any:
    import optuna
    import sqlalchemy.exc
    from filelock import FileLock
    from optuna.storages.journal import JournalFileBackend

    path = Path(url.removeprefix(prefix))
    # Without a file, SQLite would keep the studies in memory and forget them.
    if not url.startswith(prefix) or path.name in ("", ":memory:"):
        raise InputError(
            f"storage {url}", "names no file", f"write {prefix}PATH, or null for mlruns/optuna.db"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if prefix == JOURNAL:
            return optuna.storages.JournalStorage(JournalFileBackend(str(path)))
        spare_flushes()
        with FileLock(path.with_suffix(".lock")):  # one process at a time creates the file
            opened = optuna.storages.RDBStorage(
                url, engine_kwargs={"connect_args": {"timeout": 60}}
            )
            use_write_ahead_log(path)
        return opened
    except (OSError, sqlalchemy.exc.SQLAlchemyError) as error:
        raise _refused(url, error, "name a file that can be written") from None


def _open_server(url: str, heartbeat: int, lost: Callable[[Any], None] | None) -> Any:
    import optuna
    import sqlalchemy.exc

    retry = optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=MAX_RETRIES)
    waits = {"connect_args": connect_timeout(url)}

    def fell_silent(study: Any, trial: Any) -> None:
        retry(study, trial)
        if lost is not None:
            lost(trial)

    for attempt in range(5):
        try:
            return optuna.storages.RDBStorage(
                url,
                engine_kwargs=waits,
                heartbeat_interval=heartbeat,
                grace_period=4 * heartbeat,
                heartbeat_stale_trial_callback=fell_silent,
            )
        except (ImportError, sqlalchemy.exc.SQLAlchemyError) as error:
            # Workers that start at once race to create the tables; the losers find them there.
            raced = (sqlalchemy.exc.IntegrityError, sqlalchemy.exc.ProgrammingError)
            if isinstance(error, raced) and attempt < 4:
                time.sleep(0.5)
                continue
            mend = (
                "start the server, mend the URL, or install its driver: "
                "pip install 'bloomdiff[cluster]'"
            )
            raise _refused(url, error, mend) from None
    raise AssertionError("unreachable")


def _refused(url: str, error: Exception, mend: str) -> InputError:
    reason = str(error).strip().splitlines()[0][:200]
    return InputError(f"storage {_without_password(url)}", f"cannot be opened ({reason})", mend)


def _without_password(url: str) -> str:
    import sqlalchemy

    try:
        return sqlalchemy.make_url(url).render_as_string(hide_password=True)
    except sqlalchemy.exc.ArgumentError:
        return url.partition("://")[0] + "://..."


def fail_orphans(study: Any, storage: Any) -> None:
    """Fail the trials that a killed process left running.

    On a server that is the heartbeat's part; elsewhere the trials' own processes are looked for,
    and the failed ones need not be queued: the next trial has their draw, hence their parameters.
    """
    import optuna
    from optuna.trial import TrialState

    if getattr(storage, "heartbeat_interval", None) is not None:
        optuna.storages.fail_stale_trials(study)
        return
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        writer = trial.user_attrs.get(WRITER)
        # A file is of one machine, whose name may have changed: a container has another each time.
        orphan = _is_old(trial) if writer is None else not is_alive(writer, elsewhere=False)
        if orphan:
            # Another worker may fail it between tell's look at the state and its writing.
            with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
                study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)


def _is_old(trial: Any) -> bool:
    """Whether a trial without a writer had a minute to name one."""
    age = datetime.datetime.now() - trial.datetime_start
    return bool(age > datetime.timedelta(minutes=1))
