import hashlib
import random
from pathlib import Path
from typing import Any

import pytest

from bloomdiff.data.download import Patience, download
from bloomdiff.data.published import RemoteFile
from bloomdiff.data.transfer import InterruptedTransferError, transfer, version_file
from bloomdiff.errors import InputError, IntegrityError

BODY = random.Random(0).randbytes(3_000_000)
QUICK = Patience(attempts=3, pause=0.0, timeout=5.0)


def remote(server: Any, body: bytes = BODY, **told: Any) -> RemoteFile:
    server.files.setdefault("/set.zip", body)
    checksum = f"sha256:{hashlib.sha256(body).hexdigest()}"
    return RemoteFile("set.zip", f"{server.url}/set.zip", **{"checksum": checksum} | told)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_downloads_and_verifies(server: Any, tmp_path: Path) -> None:
    path = download(remote(server, size=len(BODY)), tmp_path / "in")
    assert path.read_bytes() == BODY
    assert names(tmp_path / "in") == {"set.zip"}


@pytest.mark.parametrize("algorithm", ["md5", "sha256", "sha512"])
def test_every_kind_of_checksum_is_checked(server: Any, tmp_path: Path, algorithm: str) -> None:
    good = hashlib.new(algorithm, BODY).hexdigest()
    download(remote(server, checksum=f"{algorithm}:{good.upper()}"), tmp_path / "good")
    wrong = ("0" if good[0] != "0" else "1") + good[1:]
    with pytest.raises(IntegrityError, match=f"published is {wrong}"):
        download(remote(server, checksum=f"{algorithm}:{wrong}"), tmp_path / "bad")
    assert names(tmp_path / "bad") == set()


def test_a_whole_file_is_not_downloaded_again(server: Any, tmp_path: Path) -> None:
    download(remote(server), tmp_path)
    download(remote(server), tmp_path)
    assert len(server.log) == 1


def test_a_damaged_file_from_before_is_found(server: Any, tmp_path: Path) -> None:
    (tmp_path / "set.zip").write_bytes(BODY[:-1] + b"?")
    with pytest.raises(IntegrityError):
        download(remote(server), tmp_path)
    assert download(remote(server), tmp_path).read_bytes() == BODY


def test_cut_connections_are_resumed_from_where_they_ended(server: Any, tmp_path: Path) -> None:
    server.cut_after = [1_000_000, 0, 1_200_000]
    assert download(remote(server), tmp_path, patience=QUICK).read_bytes() == BODY
    starts = [entry["range"] for entry in server.log]
    assert starts[0] is None
    assert starts[-1] == "bytes=2200000-"
    assert len(starts) == 4


def test_a_later_call_resumes_what_an_earlier_one_left(server: Any, tmp_path: Path) -> None:
    server.cut_after = [1_000_000, 0, 0, 0]
    with pytest.raises(InputError, match=r"3 times in a row.*1,000,000 bytes are kept"):
        download(remote(server), tmp_path, patience=QUICK)
    assert (tmp_path / "set.zip.part").stat().st_size == 1_000_000
    server.log.clear()
    assert download(remote(server), tmp_path, patience=QUICK).read_bytes() == BODY
    assert [entry["range"] for entry in server.log] == ["bytes=1000000-"]


def test_progress_renews_patience(server: Any, tmp_path: Path) -> None:
    server.cut_after = [100_000] * 12
    assert download(remote(server), tmp_path, patience=QUICK).read_bytes() == BODY


def test_a_server_that_ignores_ranges_begins_anew(server: Any, tmp_path: Path) -> None:
    server.ranges = False
    server.cut_after = [1_000_000]
    assert download(remote(server), tmp_path, patience=QUICK).read_bytes() == BODY


@pytest.mark.parametrize(("conditions", "bare"), [(True, False), (True, True), (False, False)])
@pytest.mark.parametrize("etag", ["strong", "weak", None])
def test_a_file_that_changed_between_attempts_is_not_mixed(
    server: Any, tmp_path: Path, etag: str | None, conditions: bool, bare: bool
) -> None:
    server.etag, server.conditions, server.bare_partial = etag, conditions, bare
    server.last_modified = "Mon, 01 Jan 2024 00:00:00 GMT"
    server.cut_after = [1_000_000, 0, 0, 0]
    newer = BODY[::-1]
    with pytest.raises(InputError):
        download(remote(server), tmp_path, patience=QUICK)
    server.files["/set.zip"] = newer
    server.last_modified = "Tue, 02 Jan 2024 00:00:00 GMT"
    path = download(remote(server, checksum=None), tmp_path, verify=False, patience=QUICK)
    assert path.read_bytes() == newer


def test_without_version_and_checksum_nothing_is_joined(server: Any, tmp_path: Path) -> None:
    server.etag = None
    server.cut_after = [1_000_000]
    unknown = remote(server, checksum=None)
    assert download(unknown, tmp_path, verify=False, patience=QUICK).read_bytes() == BODY
    assert [entry["range"] for entry in server.log] == [None, None]


def test_a_part_of_another_address_is_not_used(server: Any, tmp_path: Path) -> None:
    server.cut_after = [1_000_000, 0, 0, 0]
    with pytest.raises(InputError):
        download(remote(server), tmp_path, patience=QUICK)
    server.files["/other"] = BODY[::-1]
    server.conditions, server.bare_partial = False, True
    other = RemoteFile("set.zip", f"{server.url}/other")
    assert download(other, tmp_path, verify=False, patience=QUICK).read_bytes() == BODY[::-1]


def test_a_whole_part_needs_no_more_bytes(server: Any, tmp_path: Path) -> None:
    server.cut_after = [len(BODY) - 1]
    part = tmp_path / "set.zip.part"
    with pytest.raises(InterruptedTransferError):
        transfer(remote(server), part, 5.0)
    with part.open("ab") as out:
        out.write(BODY[-1:])
    assert download(remote(server), tmp_path, patience=QUICK).read_bytes() == BODY


def test_a_part_longer_than_the_file_begins_anew(server: Any, tmp_path: Path) -> None:
    server.cut_after = [1_000_000]
    part = tmp_path / "set.zip.part"
    with pytest.raises(InterruptedTransferError):
        transfer(remote(server), part, 5.0)
    part.write_bytes(BODY + b"more")
    assert download(remote(server), tmp_path, patience=QUICK).read_bytes() == BODY


def test_without_checksum_it_is_refused_unless_told(server: Any, tmp_path: Path) -> None:
    unknown = remote(server, checksum=None)
    with pytest.raises(InputError, match="--no-verify"):
        download(unknown, tmp_path)
    assert server.log == []
    assert download(unknown, tmp_path, verify=False).read_bytes() == BODY


def test_no_verify_still_checks_what_is_published(server: Any, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError):
        download(remote(server, checksum="md5:" + "0" * 32), tmp_path, verify=False)


def test_a_wrong_size_is_refused_before_the_body(server: Any, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="offers 3,000,000 bytes, published are 7"):
        download(remote(server, size=7), tmp_path)
    assert names(tmp_path) == set()


def test_a_file_without_length_is_bounded_by_its_published_size(
    server: Any, tmp_path: Path
) -> None:
    server.length = False
    server.too_long = b"x" * 1_000_000
    with pytest.raises(InputError, match="more than the 3,000,000 bytes"):
        download(remote(server, size=len(BODY)), tmp_path)


def test_a_full_disk_is_told_before_the_body(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10, 9, 1))
    with pytest.raises(InputError, match="needs 3,000,000 bytes, 1 are free"):
        download(remote(server), tmp_path)


def test_busy_servers_are_asked_again(server: Any, tmp_path: Path) -> None:
    server.status = [503, 429]
    assert download(remote(server), tmp_path, patience=QUICK).read_bytes() == BODY


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_final(server: Any, tmp_path: Path, status: int) -> None:
    server.status = [status]
    with pytest.raises(InputError, match=str(status)):
        download(remote(server), tmp_path, patience=QUICK)
    assert len(server.log) == 1


def test_a_web_page_is_not_the_file(server: Any, tmp_path: Path) -> None:
    server.content_type = "text/html; charset=utf-8"
    with pytest.raises(InputError, match="web page"):
        download(remote(server), tmp_path, patience=QUICK)
    assert names(tmp_path) == set()


def test_no_server_is_one_line(tmp_path: Path) -> None:
    nowhere = RemoteFile("x", "http://127.0.0.1:9/x", checksum="md5:" + "0" * 32)
    with pytest.raises(InputError, match="it cannot be reached") as caught:
        download(nowhere, tmp_path, patience=Patience(attempts=1, pause=0.0, timeout=1.0))
    assert "\n" not in str(caught.value)


def test_redirects_are_followed(server: Any, tmp_path: Path) -> None:
    told = remote(server)
    server.redirect["/moved"] = "/set.zip"
    moved = RemoteFile("set.zip", f"{server.url}/moved", checksum=told.checksum)
    assert download(moved, tmp_path, patience=QUICK).read_bytes() == BODY


def test_encryption_is_not_dropped_on_the_way(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import requests

    plain = remote(server)
    get = requests.get

    def redirected(url: str, **options: Any) -> requests.Response:
        return get(url.replace("https:", "http:"), **options)

    monkeypatch.setattr(requests, "get", redirected)
    secure = RemoteFile("x", plain.url.replace("http:", "https:"), checksum=plain.checksum)
    with pytest.raises(InputError, match="without encryption"):
        download(secure, tmp_path, patience=QUICK)


def test_a_damaged_version_file_makes_it_begin_anew(server: Any, tmp_path: Path) -> None:
    part = tmp_path / "set.zip.part"
    part.write_bytes(b"rubbish")
    version_file(part).write_text("{")
    assert download(remote(server), tmp_path, patience=QUICK).read_bytes() == BODY
    assert [entry["range"] for entry in server.log] == [None]


def test_a_partial_answer_without_version_still_resumes(server: Any, tmp_path: Path) -> None:
    server.bare_partial = True
    server.cut_after = [1_000_000, 500_000]
    unknown = remote(server, checksum=None)
    assert download(unknown, tmp_path, verify=False, patience=QUICK).read_bytes() == BODY
    starts = [entry["range"] for entry in server.log]
    assert starts == [None, "bytes=1000000-", "bytes=1500000-"]


def test_a_kill_after_the_new_version_is_noted_does_not_mix(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bloomdiff.data import transfer as module

    server.cut_after = [1_000_000, 0, 0, 0]
    with pytest.raises(InputError):
        download(remote(server), tmp_path, patience=QUICK)
    newer = server.files["/set.zip"] = BODY[::-1]
    write = module.write_json

    def killed(path: Path, value: Any) -> None:
        write(path, value)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            download(remote(server, checksum=None), tmp_path, verify=False, patience=QUICK)
    path = download(remote(server, checksum=None), tmp_path, verify=False, patience=QUICK)
    assert path.read_bytes() == newer
