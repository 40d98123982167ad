"""Files that are either whole or absent: temporary name, flush, rename; stable JSON and YAML."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bloomdiff.errors import InputError


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it into place if the block succeeds.

    The temporary keeps the suffix, since writers choose their format by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        # mkstemp makes private files; artefacts follow the user's umask like any other file.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_dir(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; put it in place of `path` if the block succeeds."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        if path.exists():
            shutil.rmtree(path)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sha256_file(path: str | Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal, read in bounded memory."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


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
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            str(path), f"not valid JSON ({error})", "delete it and run the stage again"
        ) from None


def write_yaml(path: str | Path, value: Any) -> None:
    """Write plain data as YAML with sorted keys, atomically."""
    import yaml

    with atomic_file(path) as temporary:
        temporary.write_text(
            yaml.safe_dump(value, sort_keys=True, allow_unicode=True), encoding="utf-8"
        )


def read_yaml(path: str | Path) -> Any:
    """Read YAML; a missing or malformed file is an `InputError` that names file and line."""
    import yaml

    try:
        # The same safe loader in C where there is one: a tenth of the time.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return yaml.load(Path(path).read_text(encoding="utf-8"), Loader=loader)
    except FileNotFoundError:
        raise InputError(str(path), "no such file", "create it or name another") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        row = f":{mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or str(error)
        raise InputError(f"{path}{row}", f"not valid YAML ({reason})", "mend that line") from None
