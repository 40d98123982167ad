"""Get a published data set: list its files, download, verify, unpack; whole or absent.

The result is laid out as its importer reads it: a single archive unpacked into ``out/NAME/``, each
of several into a folder of its own there, other files beside them, and ``provenance.json`` with the
address, checksum and SHA-256 of every file.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bloomdiff.data.download import Patience, download, unverifiable
from bloomdiff.data.published import Listing, RemoteFile, Source
from bloomdiff.data.transfer import HEADERS, reason_of
from bloomdiff.data.unpack import SUFFIXES, Bounds, is_archive, unpack
from bloomdiff.errors import InputError, ParameterError, raise_all
from bloomdiff.files import atomic_dir, sha256_file, write_json
from bloomdiff.registry import nearest

PROVENANCE = "provenance.json"


def get(
    source: Source,
    out: Path,
    *,
    only: Iterable[str] = (),
    verify: bool = True,
    keep: bool = False,
    patience: Patience | None = None,
) -> Path:
    """Download and unpack a data set into ``out/<name>``.

    What has come so far lies in ``out/<name>.download/``: run it again after an interruption.

    Parameters
    ----------
    source
        The data set.
    out
        The folder of downloads. Not the project's ``data/``: an importer writes that.
    only
        Names of files to get; all where empty.
    verify
        Refuse files for which no checksum is published.
    keep
        Leave the archives in ``out/<name>.download/``.
    patience
        See `download`.

    Returns
    -------
    Path
        ``out/<name>``.

    Raises
    ------
    InputError
        The set cannot be downloaded by a program, is there already, or see `download` and `unpack`.
    IntegrityError
        A file is not what was published.
    ParameterError
        A name in `only` that the set does not have.
    """
    patience = patience or Patience()
    target = out / source.name
    if not source.files:
        raise InputError(
            source.name,
            f"cannot be downloaded by a program: {source.manual} ({source.page})",
            f"then `bloomdiff data import {source.name} PATH`",
        )
    if target.exists():
        raise InputError(str(target), "is there already", "delete it or give another --out")
    files = _chosen(list_files(source, timeout=patience.timeout), only)
    if verify:
        raise_all([unverifiable(remote) for remote in files if remote.checksum is None])
    coming = out / f"{source.name}.download"
    with _alone(coming):
        came = [
            (remote, download(remote, coming, verify=verify, patience=patience)) for remote in files
        ]
        with atomic_dir(target) as temporary:
            left = source.unpacked_bytes
            for _, path in came:
                left -= _place(path, temporary, left, alone=len(came) == 1)
            write_json(temporary / PROVENANCE, _provenance(source, came))
        if not keep:
            shutil.rmtree(coming)
    return target


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder of what is coming; two downloads would append to the same part."""
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise InputError(str(folder), "another download is writing here", "wait for it") from None


def _place(path: Path, folder: Path, left: int, *, alone: bool) -> int:
    """Unpack or link one file into the folder; return the bytes that it takes there."""
    if not is_archive(path):
        _link(path, folder / path.name)
        return path.stat().st_size
    stem = next(path.name[: -len(s)] for s in SUFFIXES if path.name.lower().endswith(s))
    inner = folder if alone else folder / stem
    unpack(path, inner, Bounds(left))
    return sum(file.stat().st_size for file in inner.rglob("*") if file.is_file())


def _link(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(path, target)


def _chosen(files: tuple[RemoteFile, ...], only: Iterable[str]) -> list[RemoteFile]:
    names = {remote.name: remote for remote in files}
    wanted = list(only) or list(names)
    for name in wanted:
        if name not in names:
            raise ParameterError(f"file {name!r}", "is not in the set", nearest(name, list(names)))
    return [names[name] for name in dict.fromkeys(wanted)]


def _provenance(source: Source, came: list[tuple[RemoteFile, Path]]) -> dict[str, Any]:
    return {
        "name": source.name,
        "page": source.page,
        "licence": source.licence,
        "citation": source.citation,
        "files": [
            {
                "name": remote.name,
                "url": remote.url,
                "published_checksum": remote.checksum,
                "sha256": sha256_file(path),
                "bytes": path.stat().st_size,
            }
            for remote, path in came
        ],
    }


def list_files(source: Source, *, timeout: float = 60.0) -> tuple[RemoteFile, ...]:
    """Files of a data set, with sizes and checksums as its archive publishes them.

    Raises
    ------
    InputError
        The archive cannot be reached, or does not answer with a list of files.
    """
    if not isinstance(source.files, Listing):
        return source.files
    listing = source.files
    answer = _ask(listing.url, source.page, timeout)
    try:
        read = _zenodo if listing.kind == "zenodo" else _mendeley
        files = tuple(sorted(read(answer), key=lambda remote: remote.name))
    except (KeyError, TypeError, AttributeError):
        files = ()
    if not files:
        raise InputError(
            listing.url, "does not list the set's files", f"download them by hand: {source.page}"
        )
    for remote in files:
        _check_listed(listing.url, remote)
    return files


def _ask(url: str, page: str, timeout: float) -> Any:
    import requests

    try:
        response = requests.get(
            url, headers={**HEADERS, "Accept": "application/json"}, timeout=timeout
        )
        response.raise_for_status()
        return response.json()
    except requests.RequestException as error:  # a body that is not JSON is one of these
        raise InputError(
            url, f"cannot be read ({reason_of(error)})", f"download by hand: {page}"
        ) from None


def _zenodo(answer: Any) -> list[RemoteFile]:
    return [
        RemoteFile(file["key"], file["links"]["self"], int(file["size"]), file["checksum"])
        for file in answer["files"]
    ]


def _mendeley(answer: Any) -> list[RemoteFile]:
    return [
        RemoteFile(
            file["filename"],
            file["content_details"]["download_url"],
            int(file["content_details"]["size"]),
            f"sha256:{file['content_details']['sha256_hash']}",
        )
        for file in answer
    ]


def _check_listed(url: str, remote: RemoteFile) -> None:
    """A list is a stranger's too: no name may leave the folder, no address drop the encryption."""
    plain = remote.name and remote.name == Path(remote.name).name and remote.name.isprintable()
    algorithm = (remote.checksum or "").partition(":")[0]
    if not plain or remote.name.startswith(".") or "\\" in remote.name:
        raise InputError(url, f"lists a file named {remote.name!r}", "download it by hand")
    if algorithm not in ("md5", "sha256", "sha512"):
        raise InputError(url, f"tells a checksum of kind {algorithm!r}", "download it by hand")
    if url.startswith("https:") and not remote.url.startswith("https:"):
        raise InputError(url, f"leads to {remote.url}, without encryption", "download it by hand")
