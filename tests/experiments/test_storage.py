"""A storage that cannot be opened is one line that names it."""

import pytest

from bloomdiff.errors import InputError
from bloomdiff.experiments.mlflow_store import TIMEOUT
from bloomdiff.experiments.studies.storage import open_storage


@pytest.mark.parametrize(
    "storage", ["sqlite:///", "sqlite://", "sqlite:///:memory:", "journal://", "journal:///", ""]
)
def test_a_storage_without_a_file_is_asked_for_one(storage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"names no file; write (sqlite|journal):///PATH") as error:
        open_storage(storage)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("scheme", "place"),
    [
        *[("sqlite", place) for place in ("folder", "file/studies", "text")],
        *[("journal", place) for place in ("folder", "file/studies")],  # any text is a journal
    ],
)
def test_a_file_that_cannot_be_written_is_named(tmp_path, scheme, place):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "text").write_text("not a database, and longer than the head of one: " * 40)
    with pytest.raises(InputError, match=r"cannot be opened \(.*name a file that can") as error:
        open_storage(f"{scheme}:///{tmp_path}/{place}")
    assert str(tmp_path / place) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("scheme", ["sqlite", "journal"])
def test_a_file_is_made_with_its_folders(tmp_path, scheme):
    open_storage(f"{scheme}:///{tmp_path}/new/studies.db")
    assert (tmp_path / "new" / "studies.db").exists()


@pytest.mark.parametrize("url", ["postgresql+psycopg://u@host/db", "mysql+pymysql://u@host/db"])
def test_a_server_that_does_not_answer_is_not_waited_for(monkeypatch, url):
    import optuna

    given = {}
    monkeypatch.setattr(optuna.storages, "RDBStorage", lambda url, **more: given.update(more))
    open_storage(url)
    assert given["engine_kwargs"] == {"connect_args": {"connect_timeout": TIMEOUT}}
