"""Files and folders that are whole or absent, and never put in place of what is not ours."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.serialize import loads_yaml

from bloomdiff.errors import InputError
from bloomdiff.files import (
    atomic_dir,
    atomic_file,
    read_json,
    read_yaml,
    sha256_file,
    writable,
    write_yaml,
)

CHANGES = ("rename", "unlink", "rmdir", "mkdir")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A folder with a stranger's file and one that `put` writes anew."""
    put(tmp_path / "results", "old", stale="*")
    (tmp_path / "results" / "thesis.docx").write_text("mine")
    return tmp_path / "results"


def put(path: Path, text: str, stale: str = "") -> None:
    with atomic_dir(path, stale=stale) as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "b").write_text(text)
        (folder / "a").write_text(text)


def files(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()
    }


def die_at(step: int, work: Callable[[], None]) -> int:
    """Do it in a forked process that is killed before its change number `step` to the disk.

    Returns the number of changes that it made, where it lived to make them all.
    """
    child = os.fork()
    if child == 0:
        done = 0

        def dying(change: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **options: Any) -> Any:
                nonlocal done
                done += 1
                if done == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return change(*args, **options)

            return call

        for name in CHANGES:
            setattr(os, name, dying(getattr(os, name)))
        try:
            work()
        finally:
            os._exit(done)
    _, status = os.waitpid(child, 0)
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def test_a_file_that_is_not_written_anew_survives(results: Path) -> None:
    with pytest.raises(
        InputError, match=r"results/thesis\.docx: would be lost; name a new or empty folder"
    ):
        put(results, "new")
    assert files(results) == {"a": "old", "deep/b": "old", "thesis.docx": "mine"}
    assert list(results.parent.iterdir()) == [results]


def test_files_of_the_same_names_and_stale_ones_are_replaced(results: Path) -> None:
    (results / "empty").mkdir()
    put(results, "new", stale="*.docx")
    assert files(results) == {"a": "new", "deep/b": "new"}
    assert not (results / "empty").exists()
    put(results, "newer")
    assert files(results) == {"a": "newer", "deep/b": "newer"}
    assert list(results.parent.iterdir()) == [results]


@pytest.mark.parametrize("path", [".", "..", "../..", "../results"])
def test_the_working_directory_and_its_parents_are_refused(
    results: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(results)
    with pytest.raises(InputError, match=r"is or holds the folder you work in; name a new or"):
        put(Path(path), "new", stale="*")
    assert files(results)["thesis.docx"] == "mine"
    put(Path("below"), "new")
    assert files(results / "below") == {"a": "new", "deep/b": "new"}


def test_a_file_is_refused_and_a_link_kept(results: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        put(results / "thesis.docx", "new", stale="*")
    link = results.parent / "link"
    link.symlink_to(results)
    put(link, "new", stale="*")
    assert link.is_symlink()
    assert files(results) == {"a": "new", "deep/b": "new"}


def test_a_block_that_fails_leaves_the_old_folder(results: Path) -> None:
    before = files(results)
    with pytest.raises(TypeError):
        put(results, 1, stale="*")  # type: ignore[arg-type]
    assert files(results) == before
    assert list(results.parent.iterdir()) == [results]


def test_killed_at_any_step_one_folder_is_whole_and_the_next_call_clears_up(tmp_path: Path) -> None:
    put(tmp_path / "whole" / "x", "old")
    steps = die_at(-1, lambda: put(tmp_path / "whole" / "x", "new"))
    old, new = ({"a": text, "deep/b": text} for text in ("old", "new"))
    gone = 0
    for step in range(1, steps + 1):
        path = tmp_path / str(step) / "x"
        put(path, "old")
        assert die_at(step, lambda path=path: put(path, "new")) == -signal.SIGKILL
        if not path.exists():  # between the renames
            gone += 1
            kept = [folder for folder in path.parent.glob(".x-*/*") if folder.is_dir()]
            assert sorted(map(str, map(files, kept))) == sorted([str(new), str(old)])
        else:
            assert files(path) in (old, new)
        # One that fails leaves one whole folder and nothing else, as does one that is killed.
        copy = shutil.copytree(path.parent, tmp_path / f"{step}-again")
        with pytest.raises(TypeError):
            put(path, 1)  # type: ignore[arg-type]
        assert files(path) in (old, new)
        assert list(path.parent.iterdir()) == [path]
        for again in range(1, 4):
            die_at(again, lambda copy=copy: put(copy / "x", "new"))
        put(copy / "x", "new")
        assert files(copy / "x") == new
        assert list(copy.iterdir()) == [copy / "x"]
    assert gone == 1


def test_a_folder_that_is_being_written_is_let_be(tmp_path: Path) -> None:
    with atomic_dir(tmp_path / "x") as folder:
        (folder / "a").write_text("slow")
        put(tmp_path / "x", "quick")
        put(tmp_path / "x-y", "other")
        assert (folder / "a").exists()
        (folder / "deep").mkdir()
        (folder / "deep" / "b").write_text("slow")
    assert files(tmp_path / "x") == {"a": "slow", "deep/b": "slow"}


def test_yaml_that_is_not_in_utf8_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes("class: Éos".encode("latin-1"))
    with pytest.raises(InputError, match=r"params\.yaml: is not UTF-8 .*; save it as UTF-8"):
        read_yaml(tmp_path / "params.yaml")


def test_yaml_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("seed: 2020-99-99")
    with pytest.raises(InputError, match=r"params\.yaml: is not valid YAML \(month must be"):
        read_yaml(tmp_path / "params.yaml")
    with pytest.raises(InputError, match=r"params\.yaml/params\.yaml: cannot be read \(Not a dir"):
        read_yaml(tmp_path / "params.yaml" / "params.yaml")
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory\)"):
        read_yaml(tmp_path)


def test_digest_of_a_missing_file_names_it(tmp_path):
    with pytest.raises(InputError, match=r"cells\.parquet: no such file; run the stage"):
        sha256_file(tmp_path / "cells.parquet")


@pytest.mark.parametrize("below", ["", "inside"])
def test_what_is_no_folder_to_write_to_is_one_line(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("x")
    path = tmp_path / "file" / below / "out"
    for write in (atomic_file, atomic_dir):
        with pytest.raises(InputError, match=r"is no folder to write to .* place"), write(path):
            raise AssertionError
    with pytest.raises(InputError, match="is a folder; name a file"), atomic_file(tmp_path):
        raise AssertionError
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("write", [atomic_file, atomic_dir])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, write: Any) -> None:
    with (
        pytest.raises(InputError, match=r"x: cannot be written \(No space left.*make room"),
        write(tmp_path / "x"),
    ):
        raise OSError(errno.ENOSPC, "while writing")
    with pytest.raises(FileNotFoundError), write(tmp_path / "x"):
        raise FileNotFoundError(errno.ENOENT, "of what was to be read")
    assert not any(tmp_path.iterdir())


def test_places_that_no_system_has_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(InputError, match="a: leads nowhere"), atomic_dir(tmp_path / "a"):
        pass
    with (
        pytest.raises(InputError, match="no folder to write to"),
        atomic_file(tmp_path / ("n" * 300)),
    ):
        pass


def test_what_is_no_fault_of_the_folder_stays_what_it_is(tmp_path: Path) -> None:
    for error in (ConnectionError("no answer"), FileNotFoundError(errno.ENOENT, "of another")):
        with pytest.raises(type(error)), writable(tmp_path):
            raise error


def test_a_folder_in_place_of_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("{}")
    for read in (read_json, sha256_file):
        with pytest.raises(InputError, match="cannot be read"):
            read(tmp_path)
        with pytest.raises(InputError, match="cannot be read"):
            read(tmp_path / "file" / "card.json")


@pytest.mark.parametrize("text", ["1e-3", "2e0", "-2E1", "1.5e3", "1.e3", "1_0e2", "1e", "e1"])
def test_numbers_with_an_exponent_are_read_as_by_dvc(tmp_path: Path, text: str) -> None:
    (tmp_path / "params.yaml").write_text(f"k: {text}")
    assert read_yaml(tmp_path / "params.yaml") == loads_yaml(f"k: {text}")
    assert read_yaml(tmp_path / "params.yaml", exponents=False) == {"k": text}
    write_yaml(tmp_path / "text.yaml", {"k": text})  # text stays text
    assert read_yaml(tmp_path / "text.yaml") == {"k": text}


def test_who_reads_the_older_file_reads_it_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("older")
    with path.open() as reader:
        with atomic_file(path) as temporary:
            temporary.write_text("newer")
        assert reader.read() == "older"
    assert path.read_text() == "newer"
