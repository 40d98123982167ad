"""Units of work: done once, kept across a kill, computed anew when what they depend on changes."""

import os
import signal
import subprocess
import sys
import time

import cloudpickle
import psutil
import pytest
from altered import set_params
from threadpoolctl import threadpool_info, threadpool_limits

from bloomdiff.errors import InputError, ProblemsError
from bloomdiff.experiments.objectives import _on_one_thread
from bloomdiff.stages import caution, evaluate, synthesize
from bloomdiff.stages.work import finish, key_of, run_units, stage_lock

# Worker processes cannot import this file by name.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def write(folder, name):
    with (folder.parents[1] / "calls").open("a") as stream:  # beside the units
        stream.write(f"{name}\n")
    (folder / "out.txt").write_text(name)


def fail(folder, name):
    (folder / "half.txt").write_text("half")
    raise ProblemsError([InputError(name, "is wrong", "mend it"), InputError("b", "too", "so")])


def do(working, names, *, key="k", jobs=1, function=write):
    return run_units(
        function, [(n,) for n in names], working=working, key=key, jobs=jobs, describe="t"
    )


def calls(working, key="k"):
    return (working / key / "calls").read_text().split()


@pytest.mark.parametrize("jobs", [1, 2])
def test_units_are_computed_once(tmp_path, jobs):
    done = do(tmp_path, ["a", "b"], jobs=jobs)
    assert (done(("a",)) / "out.txt").read_text() == "a"
    do(tmp_path, ["a", "b", "c"], jobs=jobs)
    assert sorted(calls(tmp_path)) == ["a", "b", "c"]


def test_another_key_is_other_work(tmp_path):
    do(tmp_path, ["a"])
    do(tmp_path, ["a"], key="other")
    assert calls(tmp_path) == calls(tmp_path, "other") == ["a"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_failed_unit_leaves_nothing_and_its_error_arrives_whole(tmp_path, jobs):
    with pytest.raises(ProblemsError) as error:
        do(tmp_path, ["a", "b"], jobs=jobs, function=fail)
    assert len(str(error.value).splitlines()) == 2
    assert not list(tmp_path.rglob("half.txt"))


def test_finish_forgets(tmp_path):
    do(tmp_path / "stage", ["a"])
    finish(tmp_path / "stage")
    assert not (tmp_path / "stage").exists()
    finish(tmp_path / "stage")


def test_key_depends_on_every_part():
    assert key_of(1, {"a": 2}) == key_of(1, {"a": 2})
    assert len({key_of(1), key_of(2), key_of(1, None), key_of({"a": 1})}) == 4


def test_lock_waits_for_a_process_and_survives_its_death(tmp_path):
    code = (
        "import sys, time; from pathlib import Path\n"
        "from bloomdiff.stages.work import stage_lock\n"
        f"with stage_lock(Path({str(tmp_path)!r}), 'prepare'):\n"
        "    print('held', flush=True); time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    waiter = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert "waiting for an earlier run" in waiter.stderr.readline()
    time.sleep(0.2)
    assert waiter.poll() is None
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert waiter.stdout.readline() == "held\n"
    waiter.kill()
    waiter.wait()
    with stage_lock(tmp_path, "prepare"):
        pass


def slow(folder, name):
    (folder.parents[1] / f"begun-{name}-{os.getpid()}").touch()
    time.sleep(60)


def test_workers_end_with_the_stage_that_was_killed(tmp_path):
    """They would go on beside those of the next run, which has the stage's lock by then."""
    (tmp_path / "k").mkdir()
    child = os.fork()
    if child == 0:
        try:
            do(tmp_path, ["a", "b"], jobs=2, function=slow)
        finally:
            os._exit(0)
    wait_for(lambda: len(list((tmp_path / "k").glob("begun-*"))) == 2)
    workers = [int(p.name.rsplit("-", 1)[1]) for p in (tmp_path / "k").glob("begun-*")]
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    wait_for(lambda: not any(map(psutil.pid_exists, workers)), seconds=20)


def wait_for(condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def threads(folder, name):
    (folder / "threads.txt").write_text(str(most_threads()))


def most_threads():
    import torch

    libraries = threadpool_info()
    assert libraries
    return max([torch.get_num_threads(), *(one["num_threads"] for one in libraries)])


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_unit_has_one_thread_whatever_process_it_is_in(tmp_path, jobs):
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threadpool_limits(2):
            done = do(tmp_path, ["a", "b"], jobs=jobs, function=threads)
            assert most_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert [(done((name,)) / "threads.txt").read_text() for name in "ab"] == ["1", "1"]


def test_a_trial_has_one_thread_in_any_process():
    with threadpool_limits(2):
        assert _on_one_thread(lambda trial: float(most_threads() + trial))(5) == 6
        assert _on_one_thread(lambda trial: float(trial))(5) == 5


class StoppedError(Exception):
    pass


def unit_key(stage, project, monkeypatch, digest=str):
    """The key of a stage's units; files count as what `digest` gives for their path."""
    found = []

    def capture(function, units, *, key, **options):
        found.append(key)
        raise StoppedError

    monkeypatch.setattr(stage, "run_units", capture)
    monkeypatch.setattr(stage, "sha256_file", digest)
    with pytest.raises(StoppedError):
        stage.run(project, None)
    return found[0]


@pytest.mark.parametrize("stage", [evaluate, caution])
def test_units_of_another_seed_are_not_taken_up(stage, project, monkeypatch):
    """The seed of the resamples and of the generators is part of the key."""
    monkeypatch.setattr(stage, "synthetic_units", lambda project: [("r0f0", "smote")])
    monkeypatch.setattr(stage, "read_yaml", str, raising=False)

    def key_under(seed):
        own = set_params(project, seed=seed, protocol="cytodiff-2025")
        return unit_key(stage, own, monkeypatch)

    assert key_under(0) == key_under(0)
    assert key_under(0) != key_under(1)


def test_synthetic_rows_of_other_embeddings_are_not_taken_up(project, monkeypatch):
    """A generator of images has the card it had under another encoder, and other rows."""

    def key_with(digest):
        known = {project.embeddings: digest}
        return unit_key(synthesize, project, monkeypatch, lambda path: known.get(path, str(path)))

    assert key_with("a") == key_with("a")
    assert key_with("a") != key_with("b")
