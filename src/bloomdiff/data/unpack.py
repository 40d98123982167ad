"""Unpack an archive that a stranger made: nothing leaves the target, nothing grows without bound.

Only folders and plain files are written, under plain relative names, with the user's own default
permissions. Whatever else an archive may hold (absolute names, ``..``, links, devices, encrypted
members, one name twice, more bytes or files than the bound) ends the unpacking with one line.
"""

from __future__ import annotations

import stat
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import IO

from bloomdiff.errors import BloomDiffError, InputError, IntegrityError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
FOREIGN_SUFFIXES = (".rar", ".7z")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an archive may grow to: bytes and files, both over all members."""

    max_bytes: int
    max_files: int = 1_000_000


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    size: int
    is_folder: bool
    handle: zipfile.ZipInfo | tarfile.TarInfo


def is_archive(path: Path) -> bool:
    """Whether `unpack` handles files of this name."""
    return path.name.lower().endswith(SUFFIXES)


def unpack(archive: Path, target: Path, bounds: Bounds) -> int:
    """Unpack a ZIP or TAR file into a folder.

    Parameters
    ----------
    archive
        The file; its kind is told by its name.
    target
        Folder, made where it is missing. Files that stand in it are never overwritten. After an
        error it may hold a part of the archive: give one that can be thrown away, such as that of
        `bloomdiff.files.atomic_dir`.
    bounds
        On bytes and files.

    Returns
    -------
    int
        Files written; what macOS and Windows leave in archives (``__MACOSX/``, ``._*``,
        ``.DS_Store``, ``Thumbs.db``) is not.

    Raises
    ------
    InputError
        A member that is refused, a bound that is passed, or a kind of archive that is not handled.
    IntegrityError
        The archive is damaged.
    """
    if archive.name.lower().endswith(FOREIGN_SUFFIXES):
        raise InputError(
            str(archive), "is an archive that is not unpacked here", "use `unar` or `7z x` on it"
        )
    if not is_archive(archive):
        raise InputError(str(archive), "is no archive", f"give one of {', '.join(SUFFIXES)}")
    target.mkdir(parents=True, exist_ok=True)
    try:
        with _open(archive) as (members, read):
            return _write(archive, members, read, target, bounds)
    except BloomDiffError:
        raise
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno:
            raise InputError(str(target), f"cannot be written ({error})", "mend that") from None
        raise _damaged(archive, str(error)) from None
    except NotImplementedError as error:  # zipfile's word for a compression that it lacks
        raise InputError(
            str(archive), f"is packed in a way not known here ({error})", "use `7z x` on it"
        ) from None
    except Exception as error:  # zlib.error and lzma.LZMAError have no common base
        if type(error).__module__ in ("zlib", "_lzma", "lzma"):
            raise _damaged(archive, str(error)) from None
        raise


def _damaged(archive: Path, reason: str) -> IntegrityError:
    return IntegrityError(str(archive), f"is damaged ({reason})", "delete it and get it again")


class _Reader:
    """Opens a member for reading, whichever kind of archive it is in."""

    def __init__(self, file: zipfile.ZipFile | tarfile.TarFile) -> None:
        self._file = file

    def __call__(self, member: _Member) -> IO[bytes]:
        if isinstance(self._file, zipfile.ZipFile):
            assert isinstance(member.handle, zipfile.ZipInfo)
            return self._file.open(member.handle)
        assert isinstance(member.handle, tarfile.TarInfo)
        stream = self._file.extractfile(member.handle)
        if stream is None:
            raise InputError(member.name, "has no content", "unpack it by hand and look at it")
        return stream


@contextmanager
def _open(archive: Path) -> Iterator[tuple[Iterator[_Member], _Reader]]:
    if archive.name.lower().endswith(".zip"):
        with zipfile.ZipFile(archive) as zipped:
            yield _zip_members(archive, zipped), _Reader(zipped)
    else:
        with tarfile.open(archive) as tarred:
            yield _tar_members(archive, tarred), _Reader(tarred)


def _refused(archive: Path, name: str, problem: str) -> InputError:
    return InputError(f"{archive} member {name!r}", problem, "do not unpack this archive")


def _zip_members(archive: Path, zipped: zipfile.ZipFile) -> Iterator[_Member]:
    for info in zipped.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _refused(archive, info.filename, "is a link or a device")
        if info.flag_bits & 1:
            raise _refused(archive, info.filename, "is encrypted")
        name = info.orig_filename
        yield _Member(name, info.file_size, name.endswith("/"), info)


def _tar_members(archive: Path, tarred: tarfile.TarFile) -> Iterator[_Member]:
    for info in tarred:
        if not (info.isreg() or info.isdir()) or info.issparse():
            raise _refused(archive, info.name, "is a link, a device or a sparse file")
        yield _Member(info.name, info.size, info.isdir(), info)


def _write(
    archive: Path, members: Iterator[_Member], read: _Reader, target: Path, bounds: Bounds
) -> int:
    files = n_members = n_bytes = 0
    for member in members:
        parts = _parts(archive, member.name)
        n_members += 1
        n_bytes += member.size
        if n_members > bounds.max_files:
            raise _refused(archive, member.name, f"is beyond the {bounds.max_files:,}th")
        if n_bytes > bounds.max_bytes:
            raise _refused(
                archive, member.name, f"brings it to more than {bounds.max_bytes:,} bytes"
            )
        if _is_clutter(parts):
            continue
        path = target.joinpath(*parts)
        if member.is_folder:
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            raise _refused(archive, member.name, "stands there already, or twice in the archive")
        with read(member) as stream, path.open("xb") as out:
            _copy(archive, member, stream, out)
        files += 1
    return files


def _copy(archive: Path, member: _Member, stream: IO[bytes], out: IO[bytes]) -> None:
    left = member.size
    while chunk := stream.read(_CHUNK):
        left -= len(chunk)
        if left < 0:
            raise _refused(archive, member.name, f"is larger than the {member.size:,} bytes told")
        out.write(chunk)
    if left:
        raise _damaged(archive, f"{member.name} ends {left:,} bytes early")


def _parts(archive: Path, name: str) -> list[str]:
    """The names along a member's path, or an error where it is not a plain relative one."""
    # A backslash divides folders on Windows and is a legal sign elsewhere: refuse the doubt.
    suspicious = "\\" in name or "\0" in name or name.startswith("/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if suspicious or ".." in parts or PureWindowsPath(name).drive or not name.isprintable():
        raise _refused(archive, name, "would leave the target or has no plain name")
    return parts


def _is_clutter(parts: list[str]) -> bool:
    last = parts[-1] if parts else ""
    return not parts or "__MACOSX" in parts or last.startswith("._") or last in _CLUTTER


_CLUTTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
