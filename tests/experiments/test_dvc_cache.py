"""Damage in DVC's cache is named, and taken out of it at nobody's cost."""

import contextlib
import hashlib
import json
import shutil
from pathlib import Path

import pytest
from dvc_project import dvc
from typer.testing import CliRunner

from bloomdiff.cli import app
from bloomdiff.errors import InputError, IntegrityError
from bloomdiff.experiments.dvc_cache import find_damage

pytestmark = pytest.mark.slow


def cached(root, output):
    """The cache's copy of one file of an output."""
    wanted = sorted((root / output).glob("*"))[0].read_bytes()
    paths = [p for p in (root / ".dvc" / "cache" / "files" / "md5").glob("*/*") if p.is_file()]
    (path,) = [p for p in paths if p.read_bytes() == wanted]
    return path


def damage(path):
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    path.chmod(0o444)


def test_damage_in_the_cache_is_named_and_healed(built, tmp_path):
    dvc(built, "remote", "add", "-q", "-d", "here", str(tmp_path / "remote"))
    dvc(built, "push", "-q")
    intact = {p.name: p.read_bytes() for p in (built / "scores").iterdir()}
    runner = CliRunner()
    assert "whole" in runner.invoke(app, ["cache", "--project", str(built)]).stdout
    victim = cached(built, "scores")
    damage(victim)
    shutil.rmtree(built / "scores")
    dvc(built, "checkout", "-q")
    # Why the command exists: DVC hands out the damaged file and calls the project clean.
    assert {p.name: p.read_bytes() for p in (built / "scores").iterdir()} != intact
    assert "up to date" in dvc(built, "status")

    told = runner.invoke(app, ["cache", "--project", str(built)])
    assert f"damaged: {victim.relative_to(built)}, of scores" in told.stdout
    assert "1 damaged files" in str(told.exception)
    assert runner.invoke(app, ["cache", "--project", str(built), "--remove"]).exit_code == 0
    dvc(built, "pull", "-q")
    assert {p.name: p.read_bytes() for p in (built / "scores").iterdir()} == intact
    assert find_damage(built) == []
    assert "Running stage" not in dvc(built, "repro")


def check_out_again(root, output):
    """The output as DVC hands it out of a damaged cache."""
    shutil.rmtree(root / output)
    dvc(root, "checkout", "-q")


def remove(root):
    with contextlib.chdir(root):
        return CliRunner().invoke(app, ["cache", "--remove"])


def test_damage_without_a_remote_is_computed_again(built):
    damage(cached(built, "scores"))
    check_out_again(built, "scores")
    told = remove(built)
    assert told.exit_code == 0
    assert (
        "removed scores/0.txt as well: `dvc pull classify` or `dvc repro classify`" in told.stdout
    )
    assert sorted(p.name for p in (built / "scores").iterdir()) == ["1.txt", "2.txt"]
    assert "Running stage 'classify'" in dvc(built, "repro")
    assert find_damage(built) == []


@pytest.mark.parametrize(("output", "stage"), [("data", "data.dvc"), ("scores", "classify")])
def test_whole_files_of_a_damaged_cache_stay_and_heal_it(built, output, stage):
    intact = {p.name: p.read_bytes() for p in (built / output).iterdir()}
    victim = cached(built, output)
    damage(victim)
    told = remove(built)
    assert told.exit_code == 0
    first = min(intact)
    assert f"kept {output}/{first}, which is whole: `dvc commit {stage}`" in told.stdout
    assert not victim.exists()
    assert {p.name: p.read_bytes() for p in (built / output).iterdir()} == intact
    dvc(built, "commit", stage)
    assert victim.read_bytes() == intact[first]
    assert find_damage(built) == []
    assert "Running stage" not in dvc(built, "repro")


@pytest.mark.parametrize("output", ["data", "scores"])
def test_a_damaged_listing_costs_no_file(built, output):
    intact = {p.name: p.read_bytes() for p in (built / output).iterdir()}
    digests = {hashlib.md5(content).hexdigest() for content in intact.values()}
    (listing,) = (
        path
        for path in (built / ".dvc" / "cache").glob("files/md5/*/*.dir")
        if {entry["md5"] for entry in json.loads(path.read_text())} == digests
    )
    damage(listing)
    done = remove(built)
    assert f"kept {output}, which is whole" in done.stdout
    assert {p.name: p.read_bytes() for p in (built / output).iterdir()} == intact
    dvc(built, "commit", {"data": "data.dvc", "scores": "classify"}[output])
    assert find_damage(built) == []


def test_a_damaged_file_of_the_users_own_is_named_and_stays(built):
    damage(cached(built, "data"))
    check_out_again(built, "data")
    told = remove(built)
    assert told.exit_code == 0
    assert "deleted nothing in data; data/a.txt is not what it was either" in told.stdout
    assert (built / "data" / "a.txt").read_text() == "?"
    (built / "data" / "a.txt").write_text("a")
    dvc(built, "commit", "data.dvc")
    assert find_damage(built) == []
    assert "Running stage" not in dvc(built, "repro")


def test_what_the_users_own_file_is_a_link_to_stays(built):
    victim = cached(built, "data")
    (built / "data" / "a.txt").unlink()
    (built / "data" / "a.txt").symlink_to(victim)
    damage(victim)
    told = remove(built)
    assert "data/a.txt is a link to it" in told.stdout
    assert isinstance(told.exception, IntegrityError)
    assert victim.read_text() == (built / "data" / "a.txt").read_text() == "?"


def test_a_stage_that_is_not_run_again_keeps_its_files(built):
    path = built / "dvc.yaml"
    path.write_text(
        path.read_text().replace("    outs: [scores]", "    outs: [scores]\n    frozen: true")
    )
    damage(cached(built, "scores"))
    check_out_again(built, "scores")
    assert "deleted nothing in scores; scores/0.txt is not" in remove(built).stdout
    assert len(list((built / "scores").iterdir())) == 3


def test_a_cache_elsewhere_and_above_is_hashed(built, tmp_path):
    shutil.move(built / ".dvc" / "cache", tmp_path / "elsewhere")
    dvc(built, "cache", "dir", "--local", str(tmp_path / "elsewhere"))
    check = ["cache", "--project", str(built)]
    assert CliRunner().invoke(app, check).stdout.strip() == "the cache is whole"
    (victim,) = (p for p in (tmp_path / "elsewhere").glob("files/md5/*/*") if p.read_text() == "a")
    damage(victim)
    assert f"damaged: {victim}, of data" in CliRunner().invoke(app, check).stdout
    victim.unlink()
    dvc(built, "commit", "data.dvc")
    shutil.move(built / ".dvc", tmp_path / ".dvc")
    damage(victim)
    assert f"damaged: {victim}, of data" in CliRunner().invoke(app, check).stdout


def test_a_cache_where_nothing_is_hashed_is_not_called_whole(built):
    shutil.rmtree(built / ".dvc" / "cache")
    done = CliRunner().invoke(app, ["cache", "--project", str(built)])
    assert "whole" not in done.stdout
    assert isinstance(done.exception, InputError)
    assert f"{built}/.dvc/cache/files/md5: holds no file" in str(done.exception)


def test_what_cannot_be_deleted_is_one_line(built, monkeypatch):
    victim = cached(built, "data")
    damage(victim)

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    told = remove(built)
    assert isinstance(told.exception, InputError)
    assert f"{victim}: cannot be deleted (Permission denied)" in str(told.exception)
