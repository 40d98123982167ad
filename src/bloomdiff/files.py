"""Files that are either whole or absent: temporary name, flush, rename; stable JSON and YAML."""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bloomdiff.errors import InputError
from bloomdiff.yaml_numbers import dumper, loader

if TYPE_CHECKING:
    import pandas as pd


_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
_NO_PLACE = _NO_ROOM | {
    *(errno.EEXIST, errno.ENOTDIR, errno.EACCES, errno.EPERM),
    *(errno.ENAMETOOLONG, errno.ELOOP),
}


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it into place if the block succeeds.

    The temporary keeps the suffix, since writers choose their format by it.
    """
    path = Path(path)
    if os.path.isdir(path):  # no error of a name that is too long
        raise InputError(str(path), "is a folder", "name a file")
    with writable(path.parent):
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix
        )
    os.close(handle)
    temporary = Path(name)
    try:
        with _room(path):
            yield temporary
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            # mkstemp makes private files; artefacts follow the user's umask like any other file.
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Make a folder where there is none; one that cannot be written to is an `InputError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        # A server that does not answer is an OSError as well, and none of the folder's.
        if error.errno not in _NO_PLACE:
            raise
        raise InputError(
            str(folder), f"is no folder to write to ({error.strerror})", "name another place"
        ) from None


@contextmanager
def _room(path: str | Path) -> Iterator[None]:
    """A disk that takes no more of what is being written to `path` is an `InputError`."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise InputError(
            str(path),
            f"cannot be written ({os.strerror(error.errno)})",
            "make room or name another place",
        ) from None


@contextmanager
def atomic_dir(path: str | Path, *, stale: str = "") -> Iterator[Path]:
    """Yield an empty folder; put it in place of `path` if the block succeeds.

    The folder lies in a hidden one beside `path`, into which an older `path` moves before it is
    deleted. A kill leaves the older or the new one whole; the next call clears up behind it.

    Parameters
    ----------
    path
        The folder; where it is a link, the folder that it points to.
    stale
        Glob of the files of an older folder that may be lost although the new one has no file of
        their name; ``*`` where the folder is the program's own.

    Raises
    ------
    InputError
        `path` is a file, is or holds the working directory, or has a file that would be lost.
    """
    try:
        target = Path(path).resolve()
    except (OSError, RuntimeError) as error:  # links that lead to each other
        raise InputError(str(path), f"leads nowhere ({error})", "name another folder") from None
    if target.exists() and not target.is_dir():
        raise InputError(str(path), "is not a folder", "name a new or empty folder")
    if Path.cwd().is_relative_to(target):
        raise InputError(
            str(path), "is or holds the folder you work in", "name a new or empty folder"
        )
    with writable(target.parent):
        _clear_up(target)
        aside = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-", suffix=_ASIDE))
    try:
        with _room(path), _locked(aside):
            (aside / _NEW).mkdir()
            yield aside / _NEW
            if target.exists():
                check_nothing_is_lost(path, aside / _NEW, stale=stale)
                target.rename(aside / _OLD)
            (aside / _NEW).rename(target)
    finally:
        _take_back(target, aside)


_ASIDE, _NEW, _OLD = ".writing", "new", "old"


def check_nothing_is_lost(path: str | Path, new: Path, *, stale: str) -> None:
    """Raise an `InputError` where `new` lacks a file of `path`; see `atomic_dir`."""
    target = Path(path).resolve()
    files = (file for file in target.rglob("*") if file.is_symlink() or not file.is_dir())
    names = sorted(file.relative_to(target).as_posix() for file in files)
    lost = [n for n in names if not fnmatchcase(n, stale) and not os.path.lexists(new / n)]
    if lost:
        others = f" and {len(lost) - 1} more files" if lost[1:] else ""
        raise InputError(
            str(Path(path) / lost[0]), f"would be lost{others}", "name a new or empty folder"
        )


def _clear_up(target: Path) -> None:
    """Undo what killed writers of `target` have left; those that are at work are let be."""
    # As many signs as `mkdtemp` draws, so that another folder's name is never taken for it.
    for aside in target.parent.glob(f".{glob.escape(target.name)}-{'?' * 8}{_ASIDE}"):
        with suppress(OSError), _locked(aside) as held:
            if held:
                _take_back(target, aside)


def _take_back(target: Path, aside: Path) -> None:
    """Delete `aside`, after the older folder is back where only half of the exchange was done."""
    # The new one leaves last: without it, what is there of the older one is being deleted.
    if not target.exists() and (aside / _NEW).exists() and (aside / _OLD).exists():
        (aside / _OLD).rename(target)
    shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _locked(aside: Path) -> Iterator[bool]:
    """Try to hold a lock that the system frees on any death; yield whether it is held."""
    import fcntl

    with (aside / "lock").open("w") as handle:
        held = True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # another process has it, or the disk knows no locks
            held = False
        yield held


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sha256_file(path: str | Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal; a missing file is an `InputError` that names it."""
    try:
        with Path(path).open("rb") as stream:  # read in bounded memory
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        raise InputError(str(path), "no such file", "run the stage that writes it") from None
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: str | Path, error: OSError) -> InputError:
    return InputError(str(path), f"cannot be read ({error.strerror})", "mend it or name another")


def to_json(value: Any) -> str:
    """JSON with sorted keys and no locale, so that equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as stable JSON, atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(to_json(value), encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Read JSON; a missing or damaged file is an `InputError` that names it."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(str(path), "no such file", "run the stage that writes it") from None
    except OSError as error:
        raise _unreadable(path, error) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            str(path), f"not valid JSON ({error})", "delete it and run the stage again"
        ) from None


def read_table(
    path: str | Path,
    mend: str = "run the stage that writes it",
    *,
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Read Parquet; a missing or damaged file is an `InputError` that names it."""
    import pandas as pd

    try:
        return pd.read_parquet(path, columns=None if columns is None else list(columns))
    except FileNotFoundError:
        raise InputError(str(path), "no such file", mend) from None
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
        reason = (str(error).splitlines() or ["empty"])[0][:120]
        raise InputError(str(path), f"is no table ({reason})", mend) from None


def write_yaml(path: str | Path, value: Any) -> None:
    """Write plain data as YAML with sorted keys, atomically."""
    import yaml

    with atomic_file(path) as temporary:
        temporary.write_text(
            yaml.dump(value, Dumper=dumper(), sort_keys=True, allow_unicode=True), encoding="utf-8"
        )


def read_yaml(path: str | Path, *, exponents: bool = True) -> Any:
    """Read YAML; a missing or malformed file is an `InputError` that names file and line.

    With `exponents`, `1e-3` is a number, as it is for DVC; else it is text, as PyYAML has it.
    """
    import yaml

    try:
        text = Path(path).read_text(encoding="utf-8")
        return yaml.load(text, Loader=loader(exponents=exponents))
    except FileNotFoundError:
        raise InputError(str(path), "no such file", "create it or name another") from None
    except UnicodeDecodeError as error:
        raise InputError(str(path), f"is not UTF-8 ({error})", "save it as UTF-8") from None
    except OSError as error:
        raise _unreadable(path, error) from None
    except ValueError as error:  # a date that no calendar has, say
        raise InputError(str(path), f"is not valid YAML ({error})", "mend that value") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        row = f":{mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or str(error)
        raise InputError(f"{path}{row}", f"not valid YAML ({reason})", "mend that line") from None
