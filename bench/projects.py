"""Benchmarks on the folds of projects in which the pipeline has run, fold by fold, resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import joblib
import pandas as pd

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.folds import Fold, read_folds
from bloomdiff.files import atomic_file

Done = set[tuple[str, ...]]


def folds_of(projects: Sequence[str]) -> Iterator[tuple[str, EmbeddingSet, int, Fold]]:
    """Name, cells, number and outer fold of projects spelled `name=folder`."""
    for spelled in projects:
        data, _, folder = spelled.partition("=")
        cells = EmbeddingSet.load(Path(folder) / "embeddings" / "cells.parquet")
        for number, fold in enumerate(read_folds(Path(folder) / "manifest" / "folds.parquet")):
            yield data, cells, number, fold


def run_resumed(
    work: Callable[[Done], Iterable[Any]],
    results: Path,
    unit: Sequence[str],
    within: Sequence[str],
    tell: Callable[[pd.DataFrame], str],
    jobs: int,
) -> None:
    """Add what is missing to a table, keep it after every unit, and write it in words beside it.

    Parameters
    ----------
    work
        Maps the units that are done to delayed calls, each of which returns the rows of one more.
    results
        CSV of all rows; the words go to the same name in Markdown.
    unit, within
        Columns that name a unit, and that order its rows.
    tell
        The table in words.
    jobs
        Processes.
    """
    table = pd.DataFrame(columns=list(unit))
    if results.exists():
        table = pd.read_csv(results, dtype=dict.fromkeys(unit, str))
    done = set(table[list(unit)].itertuples(index=False, name=None))
    for rows in joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")(work(done)):
        table = pd.concat([table, rows]) if len(table) else rows
        table = table.sort_values([*unit, *within], kind="stable", ignore_index=True)
        with atomic_file(results) as temporary:
            table.to_csv(temporary, index=False, float_format="%.6f")
        print(" ".join(map(str, rows[list(unit)].iloc[0])), flush=True)
    text = tell(table)
    with atomic_file(results.with_suffix(".md")) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text)
