import contextlib
import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bloomdiff.data.unpack import Bounds, unpack
from bloomdiff.errors import BloomDiffError, InputError, IntegrityError

BOUNDS = Bounds(max_bytes=1_000_000, max_files=100)
GOOD = {"set/NGS/NGS_0001.tiff": b"first", "set/MYO/MYO_0001.tiff": b"second", "readme": b""}


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, *members: tarfile.TarInfo, content: bytes = b"content") -> Path:
    mode = {".tar": "w", ".tgz": "w:gz", ".gz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}
    with tarfile.open(path, mode[path.suffix]) as archive:  # type: ignore[call-overload]
        for info in members:
            if info.isreg():
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_zip(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"set/": b"", **GOOD})
    assert unpack(archive, tmp_path / "out", BOUNDS) == 3
    assert contents(tmp_path / "out") == GOOD


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"])
def test_tar(tmp_path: Path, suffix: str) -> None:
    archive = tarred(tmp_path / f"a{suffix}", member("set", tarfile.DIRTYPE), member("./set/x"))
    assert unpack(archive, tmp_path / "out", BOUNDS) == 1
    assert contents(tmp_path / "out") == {"set/x": b"content"}


def test_what_other_systems_leave_behind_is_not_unpacked(tmp_path: Path) -> None:
    clutter = ["__MACOSX/set/._x", "set/._x", "set/.DS_Store", "set/Thumbs.db"]
    archive = zipped(tmp_path / "a.zip", dict.fromkeys([*clutter, "set/x"], b"x"))
    assert unpack(archive, tmp_path / "out", BOUNDS) == 1
    assert contents(tmp_path / "out") == {"set/x": b"x"}


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "set/../../x",
        "/x",
        "//x",
        "C:/x",
        "C:x",
        "..\\x",
        "set\\..\\..\\x",
        "\\\\server\\x",
        "a\nb",
        "..",
    ],
)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_no_path_leaves_the_target(tmp_path: Path, name: str, kind: str) -> None:
    if kind == "zip":
        archive = zipped(tmp_path / "a.zip", {"good": b"", name: b"bad"})
    else:
        archive = tarred(tmp_path / "a.tar", member("good"), member(name), content=b"bad")
    with pytest.raises(InputError, match="would leave the target") as caught:
        unpack(archive, tmp_path / "deep" / "out", BOUNDS)
    assert "\n" not in str(caught.value)
    assert set(contents(tmp_path)) == {archive.name, "deep/out/good"}


@settings(max_examples=200, deadline=None)
@given(name=st.text("./\\:aC \0", min_size=1, max_size=12))
def test_whatever_the_name_nothing_is_written_outside(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    root = tmp_path_factory.mktemp("zip")
    archive = root / "a.zip"
    info = zipfile.ZipInfo("placeholder")
    info.filename = name  # past the constructor's tidying
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr(info, b"content")
    out_folder = root / "deep" / "out"
    with contextlib.suppress(BloomDiffError):
        unpack(archive, out_folder, BOUNDS)
    written = {path for path in root.rglob("*") if path.is_file()} - {archive}
    assert all(path.is_relative_to(out_folder) for path in written)


@pytest.mark.parametrize(
    ("kind", "link"),
    [
        (tarfile.SYMTYPE, "/etc"),
        (tarfile.SYMTYPE, "inside"),
        (tarfile.LNKTYPE, "good"),
        (tarfile.CHRTYPE, ""),
        (tarfile.BLKTYPE, ""),
        (tarfile.FIFOTYPE, ""),
    ],
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes, link: str) -> None:
    archive = tarred(tmp_path / "a.tar", member("good"), member("way", kind, link), member("way/x"))
    with pytest.raises(InputError, match=r"'way'.*is a link, a device"):
        unpack(archive, tmp_path / "out", BOUNDS)
    assert contents(tmp_path / "out") == {"good": b"content"}


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_in_a_zip_are_refused(tmp_path: Path, kind: int) -> None:
    info = zipfile.ZipInfo("way")
    info.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(InputError, match="is a link or a device"):
        unpack(tmp_path / "a.zip", tmp_path / "out", BOUNDS)
    assert contents(tmp_path / "out") == {}


def test_permissions_of_the_archive_are_not_taken(tmp_path: Path) -> None:
    info = member("tool")
    info.mode = 0o6777
    unpack(tarred(tmp_path / "a.tar", info), tmp_path / "out", BOUNDS)
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "out" / "tool").stat().st_mode) == 0o666 & ~mask


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_a_bomb_ends_before_it_is_written(tmp_path: Path, suffix: str) -> None:
    zeros = bytes(5_000_000)
    name = tmp_path / f"bomb{suffix}"
    archive = (
        zipped(name, {"zeros": zeros})
        if suffix == ".zip"
        else tarred(name, member("zeros"), content=zeros)
    )
    assert archive.stat().st_size < 10_000
    with pytest.raises(InputError, match="more than 1,000,000 bytes"):
        unpack(archive, tmp_path / "out", BOUNDS)
    assert contents(tmp_path / "out") == {}


def test_many_small_members_add_up(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {f"{n}": bytes(100_000) for n in range(11)})
    with pytest.raises(InputError, match="more than 1,000,000 bytes"):
        unpack(archive, tmp_path / "out", BOUNDS)


@pytest.mark.parametrize("names", [[f"f{n}" for n in range(101)], [f"d{n}/" for n in range(101)]])
def test_files_and_folders_are_counted(tmp_path: Path, names: list[str]) -> None:
    archive = zipped(tmp_path / "a.zip", dict.fromkeys(names, b""))
    with pytest.raises(InputError, match="beyond the 100th"):
        unpack(archive, tmp_path / "out", BOUNDS)


def test_a_zip_that_lies_about_a_size_is_found(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"zeros": bytes(5_000_000)})
    data = archive.read_bytes()
    lie = data.replace((5_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lie != data
    archive.write_bytes(lie)
    with pytest.raises(BloomDiffError):
        unpack(archive, tmp_path / "out", BOUNDS)
    assert sum(map(len, contents(tmp_path / "out").values())) <= 10


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_one_name_twice_is_refused(tmp_path: Path, kind: str) -> None:
    if kind == "zip":
        archive = tmp_path / "a.zip"
        with zipfile.ZipFile(archive, "w") as out:
            out.writestr("x", "first")
            with pytest.warns(UserWarning, match="Duplicate"):
                out.writestr("x", "second")
    else:
        archive = tarred(tmp_path / "a.tar", member("x"), member("./x"))
    with pytest.raises(InputError, match="twice"):
        unpack(archive, tmp_path / "out", BOUNDS)


def test_what_stands_in_the_target_is_kept(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "readme").write_text("mine")
    with pytest.raises(InputError, match="stands there already"):
        unpack(zipped(tmp_path / "a.zip", GOOD), tmp_path / "out", BOUNDS)
    assert (tmp_path / "out" / "readme").read_text() == "mine"


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"secret": b"content"})
    data = bytearray(archive.read_bytes())
    data[6] |= 1  # the flag in the local header
    data[data.index(b"PK\x01\x02") + 8] |= 1  # and in the central directory
    archive.write_bytes(bytes(data))
    with pytest.raises(InputError, match="is encrypted"):
        unpack(archive, tmp_path / "out", BOUNDS)


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tar.xz", ".tar.bz2"])
@pytest.mark.parametrize("damage", ["cut", "flip", "rubbish", "empty"])
def test_a_damaged_archive_is_one_line(tmp_path: Path, suffix: str, damage: str) -> None:
    content = bytes(range(256)) * 2000
    archive = tmp_path / f"a{suffix}"
    if suffix == ".zip":
        zipped(archive, {"x": content})
    else:
        tarred(archive, member("x"), content=content)
    data = bytearray(archive.read_bytes())
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "flip":
        # A tar has no checksum of its content; its header has.
        position = 10 if suffix == ".tar" else len(data) // 3
        data[position] ^= 0xFF
    else:
        data = bytearray(b"rubbish " * 200 if damage == "rubbish" else b"")
    archive.write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match="is damaged") as caught:
        unpack(archive, tmp_path / "out", BOUNDS)
    assert "\n" not in str(caught.value)


def test_a_compression_that_is_not_known_is_one_line(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"x": b"content"})
    data = bytearray(archive.read_bytes())
    data[8] = data[data.index(b"PK\x01\x02") + 10] = 9  # Deflate64, as Windows packs large files
    archive.write_bytes(bytes(data))
    with pytest.raises(InputError, match=r"a\.zip: is packed in a way .*; use `7z x` on it"):
        unpack(archive, tmp_path / "out", BOUNDS)


@pytest.mark.parametrize("name", ["Train.rar", "x.7z"])
def test_foreign_archives_are_told_with_the_mend(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"Rar!")
    with pytest.raises(InputError, match="unar"):
        unpack(tmp_path / name, tmp_path / "out", BOUNDS)


def test_what_is_no_archive_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"")
    with pytest.raises(InputError, match="is no archive"):
        unpack(tmp_path / "x.npz", tmp_path / "out", BOUNDS)
