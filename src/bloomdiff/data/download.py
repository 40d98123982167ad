"""Download one file: resumed after any interruption, bounded, verified, whole or absent."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

from bloomdiff.data.published import RemoteFile
from bloomdiff.data.transfer import InterruptedTransferError, reason_of, transfer, version_file
from bloomdiff.errors import InputError, IntegrityError


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to insist.

    Attributes
    ----------
    attempts
        Attempts in a row that may bring nothing new.
    pause
        Seconds before the first repetition; doubled each time, up to a minute.
    timeout
        Seconds without an answer or a byte that end an attempt.
    """

    attempts: int = 5
    pause: float = 1.0
    timeout: float = 60.0


def download(
    remote: RemoteFile,
    folder: Path,
    *,
    verify: bool = True,
    patience: Patience | None = None,
) -> Path:
    """Bring a file into a folder.

    Parameters
    ----------
    remote
        What and whence.
    folder
        Where to; the file of that name there, if it is whole, is not downloaded again.
    verify
        Demand a published checksum. The file is checked against its checksum and size wherever
        they are known, whether or not this is set.
    patience
        When to give up.

    Returns
    -------
    Path
        ``folder / remote.name``.

    Raises
    ------
    InputError
        No checksum is published and `verify` is set; the server refuses, answers with a web page
        instead of the file, or cannot be reached; the disk is too small.
    IntegrityError
        What came is not what was published; it has been deleted.
    """
    if verify and remote.checksum is None:
        raise unverifiable(remote)
    target = folder / remote.name
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{remote.name}.part"
        _insist(remote, part, patience or Patience())
        _check(remote, part)
        part.replace(target)
        version_file(part).unlink(missing_ok=True)
    else:
        _check(remote, target)
    return target


def unverifiable(remote: RemoteFile) -> InputError:
    """The error for a file without a published checksum."""
    return InputError(
        remote.url,
        "no checksum is published for this file, so that it cannot be verified",
        "add --no-verify to take it as it comes",
    )


def _check(remote: RemoteFile, path: Path) -> None:
    """Compare with what is published; delete what differs, so that the next attempt is fresh."""
    problem = ""
    if remote.size is not None and path.stat().st_size != remote.size:
        problem = f"has {path.stat().st_size:,} bytes, published are {remote.size:,}"
    elif remote.checksum is not None:
        algorithm, _, expected = remote.checksum.partition(":")
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, algorithm).hexdigest()
        if found != expected.lower():
            problem = f"has {algorithm} {found}, published is {expected}"
    if problem:
        path.unlink()
        version_file(path).unlink(missing_ok=True)
        raise IntegrityError(
            remote.url, f"what came {problem}", "it has been deleted; try again, or tell the owner"
        )


def _insist(remote: RemoteFile, part: Path, patience: Patience) -> None:
    import requests

    passing = (
        InterruptedTransferError,
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
    )
    most, idle = 0, 0
    while True:
        try:
            transfer(remote, part, patience.timeout)
            return
        except requests.exceptions.SSLError as error:  # a ConnectionError that stays
            raise InputError(remote.url, reason_of(error), "download it by hand") from None
        except passing as error:
            reason = reason_of(error)
        except requests.RequestException as error:
            raise InputError(
                remote.url, f"cannot be asked for ({reason_of(error)})", "download it by hand"
            ) from None
        here = part.stat().st_size if part.exists() else 0
        idle = 0 if here > most else idle + 1
        most = max(most, here)
        if idle >= patience.attempts:
            raise InputError(
                remote.url,
                f"was interrupted {idle} times in a row ({reason})",
                f"run it again later: {here:,} bytes are kept",
            )
        time.sleep(min(patience.pause * 2**idle, 60.0))
