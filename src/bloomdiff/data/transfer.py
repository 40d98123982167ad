"""One attempt at a file over HTTP, going on from where an earlier one ended.

What has come so far lies in a part file; a second file says of which version of the remote file it
is a part. A later attempt asks for the rest with ``Range``, on the condition (``If-Range``) that
the version is still that one (RFC 9110, sections 13.1.5 and 14). A server that ignores the request,
or a file that has changed, makes the transfer begin anew.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from bloomdiff.data.published import RemoteFile
from bloomdiff.errors import InputError, IntegrityError
from bloomdiff.files import read_json, write_json

if TYPE_CHECKING:
    from requests import Response

_CHUNK = 1 << 20
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
HEADERS = {"User-Agent": "bloomdiff", "Accept-Encoding": "identity"}


class InterruptedTransferError(Exception):
    """The attempt ended early; what came is kept, and another attempt may go on."""


def transfer(remote: RemoteFile, part: Path, timeout: float) -> None:
    """Ask once for what is missing and append it to `part`; return when the file is whole.

    Parameters
    ----------
    remote
        What and whence.
    part
        What has come so far, or a path where nothing is yet.
    timeout
        Seconds without an answer or a byte that end the attempt.

    Raises
    ------
    InterruptedTransferError
        The attempt ended early; another may go on.
    InputError
        Another attempt would fare no better.
    """
    import requests

    version = _read_version(part, remote)
    # Without a version to hold on to, only a checksum can tell whether two halves fit together.
    resumable = part.exists() and version is not None and (version or remote.checksum)
    start = part.stat().st_size if resumable else 0
    if remote.size is not None and start == remote.size:
        return
    headers = dict(HEADERS)
    if start:
        headers["Range"] = f"bytes={start}-"
        if version:
            headers["If-Range"] = version
    with requests.get(remote.url, headers=headers, stream=True, timeout=timeout) as response:
        if response.status_code == 416 and start:
            if _total(response) == start:
                return
            part.unlink()
            raise InterruptedTransferError("the part does not fit the remote file: begun anew")
        _refuse(remote, response)
        found = _version_of(response)
        if response.status_code == 206:
            found = found or version or ""  # a partial answer may leave it out
            if _range_start(response) != start or (version and found != version):
                part.unlink(missing_ok=True)
                raise InterruptedTransferError("the remote file has changed: begun anew")
        else:
            start = 0
        total = _total(response)
        _check_total(remote, part.parent, total, start)
        if not start:  # before the version changes: a kill in between must not join two versions
            part.unlink(missing_ok=True)
        write_json(version_file(part), {"url": remote.url, "version": found})
        _receive(remote, response, part, start, total)


def _receive(
    remote: RemoteFile, response: Response, part: Path, start: int, total: int | None
) -> None:
    from tqdm import tqdm
    from urllib3.exceptions import HTTPError

    bound = total if total is not None else remote.size
    here = start
    with (
        part.open("ab" if start else "wb") as out,
        tqdm(total=bound, initial=start, unit="B", unit_scale=True, desc=remote.name) as bar,
    ):
        try:
            # Raw bytes: a content coding would make offsets and checksums meaningless.
            for chunk in response.raw.stream(_CHUNK, decode_content=False):
                here += len(chunk)
                if bound is not None and here > bound:
                    raise InputError(
                        remote.url, f"sends more than the {bound:,} bytes told", "tell its owner"
                    )
                _append(out, chunk)
                bar.update(len(chunk))
        except (HTTPError, ConnectionError, TimeoutError) as error:
            raise InterruptedTransferError(f"the connection was cut ({error})") from None
    if bound is not None and here < bound:
        raise InterruptedTransferError(f"the connection ended at byte {here:,} of {bound:,}")


def _append(out: BinaryIO, chunk: bytes) -> None:
    try:
        out.write(chunk)
    except OSError as error:
        raise InputError(out.name, f"cannot be written ({error.strerror})", "mend that") from None


def _refuse(remote: RemoteFile, response: Response) -> None:
    if remote.url.startswith("https:") and not response.url.startswith("https:"):
        raise InputError(
            remote.url, "leads to an address without encryption", "download it by hand"
        )
    if response.status_code in _TRANSIENT:
        raise InterruptedTransferError(f"the server answers {response.status_code}")
    if response.status_code not in (200, 206):
        raise InputError(
            remote.url, f"the server answers {response.status_code}", "download it by hand"
        )
    if "text/html" in response.headers.get("Content-Type", ""):
        raise InputError(
            remote.url, "answers with a web page instead of the file", "download it in a browser"
        )


def _check_total(remote: RemoteFile, folder: Path, total: int | None, start: int) -> None:
    if total is None:
        return
    if remote.size is not None and total != remote.size:
        raise IntegrityError(
            remote.url,
            f"the server offers {total:,} bytes, published are {remote.size:,}",
            "tell its owner",
        )
    free = shutil.disk_usage(folder).free
    if total - start > free:
        raise InputError(
            str(folder),
            f"{remote.name} needs {total - start:,} bytes, {free:,} are free",
            "make room or name another folder",
        )


def _total(response: Response) -> int | None:
    """Size of the whole remote file, where the answer tells it."""
    match = re.fullmatch(r"bytes (?:\d+-\d+|\*)/(\d+)", response.headers.get("Content-Range", ""))
    if match:
        return int(match[1])
    length = response.headers.get("Content-Length", "")
    return int(length) if response.status_code == 200 and length.isdigit() else None


def _range_start(response: Response) -> int | None:
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _version_of(response: Response) -> str:
    """A validator that `If-Range` allows: a strong entity tag, else the date of the last change."""
    tag = response.headers.get("ETag", "")
    if tag and not tag.startswith("W/"):
        return tag
    return response.headers.get("Last-Modified", "")


def reason_of(error: Exception) -> str:
    """Why a request failed, in a few words: what `requests` says fills a page."""
    import requests

    if isinstance(error, requests.Timeout):
        return "it does not answer"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not accepted"
    if isinstance(error, requests.ConnectionError):
        return "it cannot be reached"
    return str(error)[:200] or type(error).__name__


def version_file(part: Path) -> Path:
    """The file that says of which version of the remote file `part` is."""
    return part.with_name(f"{part.name}.json")


def _read_version(part: Path, remote: RemoteFile) -> str | None:
    """The version that `part` is of; '' where the server tells none, None where it is no part."""
    try:
        told: Any = read_json(version_file(part))
    except InputError:
        return None
    if not isinstance(told, dict) or told.get("url") != remote.url:
        return None
    return str(told.get("version", ""))
