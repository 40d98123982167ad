"""The manifest against its schema and against the images: all problems told at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from bloomdiff.data.images import Seen, is_image, look_at
from bloomdiff.data.schema import Problem, as_text, is_inside, table_problems, where
from bloomdiff.errors import BloomDiffError, InputError, raise_all
from bloomdiff.parallel import map_chunks

_READ = ["width", "height", "blake3"]


def validate_manifest(
    cells: pd.DataFrame,
    root: str | Path,
    *,
    classes: Sequence[str] | None = None,
    jobs: int = 2,
) -> pd.DataFrame:
    """Check every row and every image; fill in what can be read off the images.

    Parameters
    ----------
    cells
        The columns of `bloomdiff.data.manifest.CELL_COLUMNS`, and possibly others.
    root
        The folder that `path` is relative to.
    classes
        The known labels; where None, any that do not differ from another one in case, spaces and
        Unicode form alone.
    jobs
        Worker processes.

    Returns
    -------
    pandas.DataFrame
        The same rows in the same order, with `width` and `height` as int64, `blake3` filled in,
        and each cell without a group as a group of its own.

    Raises
    ------
    InputError
        Anything wrong, one line for each row and file: ids and paths that repeat or are empty,
        paths that leave `root`, names with control characters, images that are missing, damaged or
        refused, sizes or pixels other than the manifest says, labels that are unknown, images in
        ``images/`` that have no row. Rows are counted as spreadsheets show them, the header being
        row 1.
    """
    root = Path(root)
    manifest = root / "manifest.csv"
    cells = cells.reset_index(drop=True)
    problems = table_problems(cells, manifest, classes)
    if cells.empty or any(row is None for row, _ in problems):
        raise_all([problem for _, problem in problems])
    text = as_text(cells)
    paths = text["path"].tolist()
    rows = [row for row, path in enumerate(paths) if is_inside(path)]
    seen: dict[int, tuple[int, int, str]] = {}
    for row, found in zip(rows, _look(root, [paths[row] for row in rows], jobs), strict=True):
        if isinstance(found, BloomDiffError):
            place = f"{where(manifest, row)}, {found.where}"
            problems.append((row, InputError(place, found.problem, found.mend)))
        else:
            seen[row] = found
    read = pd.DataFrame.from_dict(seen, orient="index", columns=_READ)
    problems += _mismatches(text, read, manifest)
    problems += _strays(root, set(paths))
    problems.sort(key=lambda problem: len(cells) if problem[0] is None else problem[0])
    raise_all([problem for _, problem in problems])
    own = text["group"].where(text["group"] != "", text["cell_id"])
    return cells.assign(**{name: read[name] for name in _READ}, group=own)


def _look(root: Path, paths: Sequence[str], jobs: int) -> list[Seen]:
    chunks = map_chunks(
        partial(look_at, root),
        paths,
        jobs=jobs,
        threads=True,
        describe="validate",
        total=len(paths),
    )
    return [seen for chunk in chunks for seen in chunk]


def _mismatches(text: pd.DataFrame, read: pd.DataFrame, manifest: Path) -> list[Problem]:
    """What the manifest says of images, where it says anything, against the images."""
    problems: list[Problem] = []
    for name in _READ:
        given = text.loc[read.index, name]
        if name == "blake3":
            # The schema tells of digests that are none.
            wrong = (given.str.len() == 64) & (given != read[name])
            mend = "restore the image, or empty the field if the change was meant"
        else:
            number = pd.to_numeric(given, errors="coerce")
            wrong = number.notna() & (number != read[name])
            mend = "correct the field or empty it"
        for row in read.index[wrong]:
            told = f"{name} is {given[row]}, but the image's is {read[name][row]}"
            problems.append((row, InputError(where(manifest, row), told, mend)))
    return problems


def _strays(root: Path, paths: set[str]) -> list[Problem]:
    files = (p for p in (root / "images").rglob("*") if is_image(p) and p.is_file())
    names = {file.relative_to(root).as_posix() for file in files} - paths
    mend = "add a row, without a label if it has none, or take the image away"
    return [
        (None, InputError(str(root / name), "has no row in the manifest", mend))
        for name in sorted(names)
    ]
