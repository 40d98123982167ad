from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain

import pytest

from bloomdiff.parallel import map_chunks


def local():
    """Functions that travel by value: workers cannot import this module."""

    def squares(items: list[int]) -> list[int]:
        return [item * item for item in items]

    def process(items: list[int]) -> int:
        return os.getpid()

    def fail(items: list[int]) -> None:
        raise RuntimeError(f"no {items[0]}")

    return squares, process, fail


squares, process, fail = local()


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("n", [0, 1, 7, 50])
def test_results_come_in_order(jobs: int, n: int) -> None:
    chunks = list(map_chunks(squares, range(n), jobs=jobs, chunk=3))
    assert list(chain(*chunks)) == [k * k for k in range(n)]
    assert len(chunks) == -(-n // 3)


def test_work_is_done_in_other_processes_only_where_asked() -> None:
    assert set(map_chunks(process, range(6), jobs=1, chunk=2)) == {os.getpid()}
    assert os.getpid() not in set(map_chunks(process, range(6), jobs=2, chunk=2))


@pytest.mark.parametrize("jobs", [1, 2])
def test_items_are_taken_as_they_are_needed(jobs: int) -> None:
    taken = []

    def many() -> Iterator[int]:
        for k in range(4000):
            taken.append(k)
            yield k

    results = map_chunks(squares, many(), jobs=jobs, chunk=2)
    assert next(results) == [0, 1]
    # A worker that is held up lets the other one run ahead.
    assert len(taken) < 1000
    assert len(list(results)) == 1999


@pytest.mark.parametrize("jobs", [1, 2])
def test_errors_come_through(jobs: int) -> None:
    with pytest.raises(RuntimeError, match="no 0"):
        list(map_chunks(fail, range(4), jobs=jobs))


def test_the_bar_counts_items(capsys: pytest.CaptureFixture[str]) -> None:
    list(map_chunks(squares, range(7), jobs=1, chunk=3, describe="squares", total=7))
    assert "squares: 100%" in capsys.readouterr().err
    list(map_chunks(squares, range(7), jobs=1, chunk=3))
    assert capsys.readouterr().err == ""
