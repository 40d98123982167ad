import hashlib
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from bloomdiff.cli import sources
from bloomdiff.data import published
from bloomdiff.data.published import PUBLISHED, RemoteFile
from bloomdiff.data.vocabulary import to_markdown
from bloomdiff.errors import BloomDiffError, InputError, ParameterError

app = typer.Typer()
sources.register(app)


def run(*arguments: str) -> str:
    """What a command prints; its own errors are raised."""
    result = CliRunner().invoke(app, arguments)
    if isinstance(result.exception, BloomDiffError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_sources_prints_each_set_with_all_that_was_asked_for() -> None:
    printed = run("sources")
    for source in PUBLISHED.values():
        for told in (source.title, source.licence, source.citation, source.page, source.size):
            assert told in printed
        assert f"{source.images:,}" in printed


def test_one_source_alone() -> None:
    printed = run("sources", "raabin")
    assert "Kouzehkanan" in printed
    assert "acevedo" not in printed
    with pytest.raises(ParameterError, match="did you mean 'raabin'"):
        run("sources", "rabin")


def test_vocabulary_prints_the_table() -> None:
    assert run("vocabulary") == to_markdown()


def test_get_and_what_to_do_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import requests

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("basophil/b.TIF", b"b")
    body = stream.getvalue()

    def answer(*_: object, **__: object) -> requests.Response:
        from urllib3 import HTTPResponse

        response = requests.Response()
        response.status_code, response.url = 200, "https://example.org/basophil.zip"
        response.headers["Content-Length"] = str(len(body))
        response.raw = HTTPResponse(io.BytesIO(body), preload_content=False)
        return response

    monkeypatch.setattr(requests, "get", answer)
    checksum = f"md5:{hashlib.md5(body).hexdigest()}"
    remote = RemoteFile("basophil.zip", "https://example.org/basophil.zip", checksum=checksum)
    fake = replace(PUBLISHED["mll23"], files=(remote,))
    monkeypatch.setitem(published.PUBLISHED, "mll23", fake)

    printed = run("get", "mll23", "--out", str(tmp_path))
    assert f"next: bloomdiff data import mll23 {tmp_path / 'mll23'}" in printed
    assert (tmp_path / "mll23" / "basophil" / "b.TIF").read_bytes() == b"b"
    assert not (tmp_path / "mll23.download").exists()

    unknown = replace(fake, files=(replace(remote, checksum=None),))
    monkeypatch.setitem(published.PUBLISHED, "mll23", unknown)
    with pytest.raises(InputError, match="--no-verify"):
        run("get", "mll23", "--out", str(tmp_path / "other"))
    printed = run("get", "mll23", "--out", str(tmp_path / "other"), "--no-verify", "--keep")
    assert "not verified" in printed
    assert (tmp_path / "other" / "mll23.download" / "basophil.zip").exists()


@pytest.mark.parametrize("name", ["matek-2019", "bone-marrow"])
def test_what_cannot_be_downloaded_says_where_it_is_had(name: str) -> None:
    with pytest.raises(InputError, match=r"doi\.org"):
        run("get", name)
