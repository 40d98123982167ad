import hashlib
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from bloomdiff.data.acquire import PROVENANCE, get, list_files
from bloomdiff.data.download import Patience
from bloomdiff.data.published import PUBLISHED, Listing, RemoteFile, Source
from bloomdiff.errors import BloomDiffError, InputError, IntegrityError, ParameterError

QUICK = Patience(attempts=2, pause=0.0, timeout=5.0)


def archive(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as out:
        for name, content in members.items():
            out.writestr(name, content)
    return stream.getvalue()


def source(files: tuple[RemoteFile, ...] | Listing, **changes: Any) -> Source:
    return replace(PUBLISHED["mll23"], files=files, **changes)


def offer(server: Any, name: str, body: bytes, *, checksum: str | None = "") -> RemoteFile:
    server.files[f"/{name}"] = body
    if checksum == "":
        checksum = f"md5:{hashlib.md5(body).hexdigest()}"
    return RemoteFile(name, f"{server.url}/{name}", len(body), checksum)


def tree(folder: Path) -> set[str]:
    return {
        p.relative_to(folder).as_posix()
        for p in folder.rglob("*")
        if p.is_file() and p.name != ".lock"
    }


def test_several_archives_and_a_plain_file(server: Any, tmp_path: Path) -> None:
    files = (
        offer(server, "basophil.zip", archive({"basophil/b_1.TIF": b"b", "__MACOSX/._b": b""})),
        offer(server, "hairy_cell.zip", archive({"hairy_cell/h_1.TIF": b"h"})),
        offer(server, "cells.npz", b"numbers"),
    )
    folder = get(source(files), tmp_path, patience=QUICK)
    assert tree(folder) == {
        "basophil/basophil/b_1.TIF",
        "hairy_cell/hairy_cell/h_1.TIF",
        "cells.npz",
        PROVENANCE,
    }
    assert {path.name for path in tmp_path.iterdir()} == {"mll23"}
    told = json.loads((folder / PROVENANCE).read_text())
    assert told["licence"] == "CC BY 4.0"
    assert [file["sha256"] for file in told["files"]] == [
        hashlib.sha256(server.files[f"/{remote.name}"]).hexdigest() for remote in files
    ]


def test_a_single_archive_is_unpacked_at_the_top(server: Any, tmp_path: Path) -> None:
    folder = get(source((offer(server, "set.zip", archive({"set/x": b"x"})),)), tmp_path)
    assert tree(folder) == {"set/x", PROVENANCE}


def test_archives_can_be_kept(server: Any, tmp_path: Path) -> None:
    get(source((offer(server, "set.zip", archive({"x": b""})),)), tmp_path, keep=True)
    assert tree(tmp_path / "mll23.download") == {"set.zip"}


def test_only_some_files(server: Any, tmp_path: Path) -> None:
    files = tuple(offer(server, f"{n}.zip", archive({n: b""})) for n in ("a", "b", "c"))
    folder = get(source(files), tmp_path, only=["b.zip"])
    assert tree(folder) == {"b", PROVENANCE}
    with pytest.raises(ParameterError, match=r"did you mean 'b\.zip'"):
        get(source(files), tmp_path / "other", only=["b.zop"])


def test_interrupted_it_goes_on_where_it_was(server: Any, tmp_path: Path) -> None:
    files = tuple(offer(server, f"{n}.zip", archive({n: bytes(100_000)})) for n in ("a", "b", "c"))
    server.cut_after = [200_000, 50_000, 0, 0]
    with pytest.raises(InputError, match="interrupted"):
        get(source(files), tmp_path, patience=QUICK)
    assert tree(tmp_path) == {
        "mll23.download/a.zip",
        "mll23.download/b.zip.part",
        "mll23.download/b.zip.part.json",
    }
    server.log.clear()
    assert tree(get(source(files), tmp_path, patience=QUICK)) == {
        "a/a",
        "b/b",
        "c/c",
        PROVENANCE,
    }
    assert [(e["path"], e["range"]) for e in server.log] == [
        ("/b.zip", "bytes=50000-"),
        ("/c.zip", None),
    ]


def test_what_a_killed_unpacking_left_is_cleared(server: Any, tmp_path: Path) -> None:
    (tmp_path / ".mll23-x1y2z3_4.writing" / "new").mkdir(parents=True)
    (tmp_path / ".mll23-notes").mkdir()  # somebody else's
    (tmp_path / ".mll23-todo.txt").touch()
    get(source((offer(server, "set.zip", archive({"x": b""})),)), tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"mll23", ".mll23-notes", ".mll23-todo.txt"}


def test_two_downloads_at_once_are_refused(server: Any, tmp_path: Path) -> None:
    files = (offer(server, "set.zip", archive({"x": b""})),)
    (tmp_path / "mll23.download").mkdir()
    with (
        FileLock(tmp_path / "mll23.download" / ".lock"),
        pytest.raises(InputError, match="another download"),
    ):
        get(source(files), tmp_path)
    assert server.log == []


def test_a_wrong_checksum_leaves_no_set(server: Any, tmp_path: Path) -> None:
    good = offer(server, "a.zip", archive({"a": b""}))
    bad = offer(server, "b.zip", archive({"b": b""}), checksum="md5:" + "0" * 32)
    with pytest.raises(IntegrityError, match="published is 000"):
        get(source((good, bad)), tmp_path, patience=QUICK)
    assert tree(tmp_path) == {"mll23.download/a.zip"}


@pytest.mark.parametrize(
    "members", [{"../outside": b"x"}, {"zeros": bytes(2_000_000)}, {"a\\b": b"x"}]
)
def test_a_malicious_archive_leaves_no_set(
    server: Any, tmp_path: Path, members: dict[str, bytes]
) -> None:
    files = (offer(server, "a.zip", archive({"fine": b"x"} | members)),)
    with pytest.raises(InputError):
        get(source(files, unpacked_bytes=1_000_000), tmp_path / "in", patience=QUICK)
    assert tree(tmp_path) == {"in/mll23.download/a.zip"}


def test_the_bound_is_on_all_archives_together(server: Any, tmp_path: Path) -> None:
    files = tuple(offer(server, f"{n}.zip", archive({n: bytes(600_000)})) for n in ("a", "b"))
    with pytest.raises(InputError, match="more than 400,000 bytes"):
        get(source(files, unpacked_bytes=1_000_000), tmp_path, patience=QUICK)


def test_without_checksum_it_asks_for_no_verify(server: Any, tmp_path: Path) -> None:
    files = (
        offer(server, "a.zip", archive({"a": b""}), checksum=None),
        offer(server, "b.zip", archive({"b": b""}), checksum=None),
    )
    with pytest.raises(BloomDiffError) as caught:
        get(source(files), tmp_path)
    assert [line.endswith("take it as it comes") for line in str(caught.value).split("\n")] == [
        True,
        True,
    ]
    assert server.log == []
    folder = get(source(files), tmp_path, verify=False)
    told = json.loads((folder / PROVENANCE).read_text())
    assert [file["published_checksum"] for file in told["files"]] == [None, None]


def test_what_is_there_is_not_replaced(server: Any, tmp_path: Path) -> None:
    (tmp_path / "mll23").mkdir()
    with pytest.raises(InputError, match="is there already"):
        get(source((offer(server, "a.zip", archive({})),)), tmp_path)
    assert server.log == []


@pytest.mark.parametrize("name", ["matek-2019", "bone-marrow"])
def test_what_no_program_can_download_is_told(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Aspera.*doi\.org.*data import") as caught:
        get(PUBLISHED[name], tmp_path)
    assert "\n" not in str(caught.value)


# The shapes of https://zenodo.org/api/records/ID and of Mendeley Data's public files list.
def zenodo(url: str, *names: str, checksum: str = "md5:" + "0" * 32) -> dict[str, Any]:
    files = [
        {"key": n, "size": 5, "checksum": checksum, "links": {"self": f"{url}/{n}/content"}}
        for n in names
    ]
    return {"id": 14277609, "files": files, "metadata": {"title": "MLL23"}}


def mendeley(url: str) -> list[dict[str, Any]]:
    details = {"size": 5, "sha256_hash": "a" * 64, "download_url": f"{url}/file_downloaded"}
    return [{"id": "1", "filename": "PBC.zip", "size": 5, "content_details": details}]


def listed(server: Any, kind: Any, answer: Any) -> Source:
    server.files["/list"] = json.dumps(answer).encode()
    return source(Listing(kind, f"{server.url}/list"))


def test_files_are_listed_by_zenodo(server: Any) -> None:
    told = list_files(listed(server, "zenodo", zenodo(server.url, "b.zip", "a.zip")))
    assert told == tuple(
        RemoteFile(n, f"{server.url}/{n}/content", 5, "md5:" + "0" * 32) for n in ("a.zip", "b.zip")
    )


def test_files_are_listed_by_mendeley(server: Any) -> None:
    (told,) = list_files(listed(server, "mendeley", mendeley(server.url)))
    assert told == RemoteFile("PBC.zip", f"{server.url}/file_downloaded", 5, "sha256:" + "a" * 64)


def test_a_listed_set_is_got(server: Any, tmp_path: Path) -> None:
    body = archive({"basophil/x.TIF": b"x"})
    server.files["/basophil.zip/content"] = body
    answer = zenodo(server.url, "basophil.zip", checksum=f"md5:{hashlib.md5(body).hexdigest()}")
    answer["files"][0]["size"] = len(body)
    folder = get(listed(server, "zenodo", answer), tmp_path, patience=QUICK)
    assert tree(folder) == {"basophil/x.TIF", PROVENANCE}


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        {"files": []},
        {"files": [{"key": "x"}]},
        {"message": "The record has been deleted.", "status": 410},
        "challenge",
        None,
    ],
)
@pytest.mark.parametrize("kind", ["zenodo", "mendeley"])
def test_an_answer_that_lists_nothing_is_one_line(server: Any, kind: str, answer: Any) -> None:
    with pytest.raises(InputError, match="by hand") as caught:
        list_files(listed(server, kind, answer))
    assert "\n" not in str(caught.value)


def test_a_page_instead_of_a_list_is_one_line(server: Any) -> None:
    server.files["/list"] = b"<html>are you human?</html>"
    with pytest.raises(InputError, match="by hand"):
        list_files(source(Listing("mendeley", f"{server.url}/list")))


@pytest.mark.parametrize("name", ["../x.zip", "a/b.zip", ".hidden", "a\\b", "a\nb", ""])
def test_a_listed_name_cannot_leave_the_folder(server: Any, name: str) -> None:
    with pytest.raises(InputError):
        list_files(listed(server, "zenodo", zenodo(server.url, name)))


def test_a_listed_checksum_must_be_known(server: Any) -> None:
    with pytest.raises(InputError, match="crc32"):
        list_files(listed(server, "zenodo", zenodo(server.url, "a.zip", checksum="crc32:1")))
