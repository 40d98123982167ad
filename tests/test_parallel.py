from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from itertools import chain
from pathlib import Path

import joblib
import pytest

from bloomdiff.parallel import CHUNKS_AHEAD, map_chunks

WORKERS = [(1, False), (2, False), (2, True), (3, True)]


def local():
    """Functions that travel by value: workers cannot import this module."""

    def squares(items: list[int]) -> list[int]:
        return [item * item for item in items]

    def process(items: list[int]) -> int:
        return os.getpid()

    def fail(items: list[int]) -> None:
        raise RuntimeError(f"no {items[0]}")

    def die(items: list[int]) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def wait(items: list[tuple[int, Path]]) -> int:
        number, gate = items[0]
        while number == 0 and not gate.exists():
            time.sleep(0.01)
        return number

    return squares, process, fail, die, wait


squares, process, fail, die, wait = local()


@pytest.mark.parametrize(("jobs", "threads"), WORKERS)
@pytest.mark.parametrize("n", [0, 1, 7, 50])
def test_results_come_in_order(jobs: int, threads: bool, n: int) -> None:
    chunks = list(map_chunks(squares, range(n), jobs=jobs, threads=threads, chunk=3))
    assert list(chain(*chunks)) == [k * k for k in range(n)]
    assert len(chunks) == -(-n // 3)


def test_work_is_done_in_other_processes_only_where_asked() -> None:
    assert set(map_chunks(process, range(6), jobs=1, chunk=2)) == {os.getpid()}
    assert set(map_chunks(process, range(6), jobs=2, threads=True, chunk=2)) == {os.getpid()}
    assert os.getpid() not in set(map_chunks(process, range(6), jobs=2, chunk=2))


@pytest.mark.parametrize(("jobs", "threads"), WORKERS[1:])
def test_one_chunk_that_holds_all_up_lets_no_more_be_taken_than_is_said(
    jobs: int, threads: bool, tmp_path: Path
) -> None:
    taken: list[int] = []
    gate = tmp_path / "open"

    def many() -> Iterator[tuple[int, Path]]:
        for k in range(200):
            taken.append(k)
            yield k, gate

    found: list[int] = []
    # The first chunk waits for the gate, so the generator waits, and the other workers run dry.
    results = map_chunks(wait, many(), jobs=jobs, threads=threads, chunk=1)
    consumer = threading.Thread(target=lambda: found.extend(results))
    consumer.start()
    deadline = time.monotonic() + 60
    while len(taken) < CHUNKS_AHEAD * jobs and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.5)
    assert (len(taken), found) == (CHUNKS_AHEAD * jobs, [])
    gate.touch()
    consumer.join()
    assert found == list(range(200))


@pytest.mark.parametrize(("jobs", "threads"), WORKERS)
def test_what_is_left_early_takes_no_more(jobs: int, threads: bool) -> None:
    taken = []

    def many() -> Iterator[int]:
        for k in range(4000):
            taken.append(k)
            yield k

    results = map_chunks(squares, many(), jobs=jobs, threads=threads, chunk=2)
    assert next(results) == [0, 1]
    results.close()
    assert len(taken) == 2 * (1 if jobs == 1 else CHUNKS_AHEAD * jobs)


@pytest.mark.parametrize(("jobs", "threads"), WORKERS)
def test_errors_come_through(jobs: int, threads: bool) -> None:
    with pytest.raises(RuntimeError, match="no 0"):
        list(map_chunks(fail, range(4), jobs=jobs, threads=threads))


def test_a_killed_worker_is_told_and_the_next_call_works() -> None:
    with pytest.raises(BrokenExecutor):
        list(map_chunks(die, range(4), jobs=2))
    assert list(map_chunks(squares, range(2), jobs=2)) == [[0, 1]]


def test_joblib_beside_it_keeps_its_own_workers() -> None:
    def twice(k: int) -> int:
        return 2 * k

    for _ in range(2):
        assert joblib.Parallel(2)(joblib.delayed(twice)(k) for k in range(3)) == [0, 2, 4]
        assert list(map_chunks(squares, range(2), jobs=2)) == [[0, 1]]


def test_the_interpreter_ends_without_a_word() -> None:
    code = (
        "from bloomdiff.parallel import map_chunks\n"
        "print(list(map_chunks(len, range(5), jobs=2, chunk=2)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[2, 2, 1]\n", "")


def test_the_bar_counts_items(capsys: pytest.CaptureFixture[str]) -> None:
    list(map_chunks(squares, range(7), jobs=1, chunk=3, describe="squares", total=7))
    assert "squares: 100%" in capsys.readouterr().err
    list(map_chunks(squares, range(7), jobs=1, chunk=3))
    assert capsys.readouterr().err == ""
