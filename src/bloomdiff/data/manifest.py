"""The manifest: one row a cell, from where it came and to which group it belongs.

Two files share these columns: ``data/manifest.csv``, which importers write beside the images and
people may edit, and ``manifest/cells.parquet``, which the `prepare` stage writes after validation.
Tables that people and spreadsheets wrote are read by `read_csv`, which tells what is odd in them by
row: pandas alone takes the first column for row names where every row has a field too many, drops
fields that it has no column for, and does not count blank lines, as spreadsheets do.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from bloomdiff.errors import InputError
from bloomdiff.files import atomic_file

# cell_id  unique name              path    image file, relative to the manifest's folder
# label    class name, '' unknown   group   patient, slide or duplicates; never straddles folds
# split    official split or ''     source  data set the cell came from
# width, height  pixels             blake3  of the decoded RGB pixels and their shape
CELL_COLUMNS = (
    "cell_id",
    "path",
    "label",
    "group",
    "split",
    "source",
    "width",
    "height",
    "blake3",
)
# Where a cell was cut from a field of view: the field's name and the box in its pixels.
BOX_COLUMNS = ("field", "box_x", "box_y", "box_width", "box_height")
# What an expert has seen of a detector's: "yes" in `verified` (`bloomdiff select import`).
# Where a detector found it: its score, and its probability of each class in `p.<class>`.
SCORE_COLUMN = "score"
PROBABILITY = "p."
NUMBERS = ("width", "height", *BOX_COLUMNS[1:], SCORE_COLUMN)
_BARE_RETURN = re.compile(r"\r(?!\n)")


def fields_of(cells: pd.DataFrame) -> pd.Series[str]:
    """Field of view of each cell as source/name, '' for a cell that was cut out of none.

    Two sources may both have an image-001: a field is the one of its source.
    """
    if "field" not in cells.columns:
        return pd.Series("", index=cells.index, dtype=str)
    # Where sets with and without fields were joined, the latter's are missing.
    name = cells["field"].fillna("").astype(str)
    return name.where(name == "", cells["source"].astype(str) + "/" + name)


def write_manifest(cells: pd.DataFrame, path: str | Path) -> None:
    """Write a manifest as CSV or Parquet (by suffix), sorted by `cell_id`, atomically.

    In CSV, a carriage return alone becomes a line feed: readers would begin a row at it.
    """
    columns = [*CELL_COLUMNS, *(c for c in cells.columns if c not in CELL_COLUMNS)]
    table = cells[columns].sort_values("cell_id", ignore_index=True)
    with atomic_file(path) as temporary:
        if Path(path).suffix == ".parquet":
            table.to_parquet(temporary, index=False)
        else:
            _without_bare_returns(table).to_csv(temporary, index=False)


def _without_bare_returns(table: pd.DataFrame) -> pd.DataFrame:
    """The table without what ends a row of a CSV file though no quotes are put around it."""
    for name in table.columns:
        column = table[name]
        kinds = pd.StringDtype | pd.CategoricalDtype
        texts = column.dtype == object or isinstance(column.dtype, kinds)
        if texts and column.astype("str").str.contains("\r", regex=False).any():
            table[name] = [_BARE_RETURN.sub("\n", v) if isinstance(v, str) else v for v in column]
    return table.rename(columns=lambda name: _BARE_RETURN.sub("\n", str(name)))


def read_manifest(path: str | Path) -> pd.DataFrame:
    """Read a manifest written by `write_manifest`; text columns hold '' rather than NaN.

    Raises
    ------
    InputError
        The file is missing, cannot be parsed, or lacks a column; a row has more fields than there
        are columns, or is blank.
    """
    path = Path(path)
    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
        else:
            table, rows = read_csv(path, numeric=is_number)
            _refuse_blank_lines(path, rows)
    except FileNotFoundError:
        raise InputError(
            str(path), "no such file", "import images with `bloomdiff data import`"
        ) from None
    except (ValueError, OSError) as error:  # pandas' parser errors are ValueErrors
        raise InputError(
            str(path), f"not a table ({str(error).splitlines()[0]})", "import the images again"
        ) from None
    missing = [name for name in CELL_COLUMNS if name not in table.columns]
    if missing:
        raise InputError(str(path), f"lacks the columns {', '.join(missing)}", "add them")
    return table


def is_number(column: str) -> bool:
    """Whether a column holds numbers; others' (patient 007, say) are not ours to rewrite."""
    return column in NUMBERS or column.startswith(PROBABILITY)


def _refuse_blank_lines(path: Path, rows: Sequence[int]) -> None:
    """Behind one, the rows that later messages name would not be those of the file."""
    blank = next((at for at, row in enumerate(rows, start=2) if row != at), None)
    if blank is not None:
        raise InputError(f"{path} row {blank}", "is blank", "remove the line")


def read_csv(
    path: Path,
    *,
    separator: str = ",",
    numeric: Callable[[str], bool] = lambda column: False,
) -> tuple[pd.DataFrame, list[int]]:
    """Read a table in UTF-8 whose first line names its columns, and number its rows.

    Spaces around a column's name do not count, nor do empty fields behind the last column.

    Parameters
    ----------
    path
        The file.
    separator
        What separates the fields.
    numeric
        Whether a column holds numbers, of the kind that pandas sees in them; text where not.

    Returns
    -------
    tuple
        The table, '' where a field is empty, and the row of each of its rows as spreadsheets show
        them: the header is row 1, and blank lines are counted.

    Raises
    ------
    InputError
        Two columns of one name, or fields that belong to no column.
    ValueError, OSError
        The file cannot be read, or is no table.
    """
    with path.open(encoding="utf-8-sig", newline="") as stream:
        text = stream.read()
    records = _records(text, separator)
    top, header = next(records, (1, []))
    names = [name.strip() for name in header]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise ValueError("it names no columns")
    twice = next((name for at, name in enumerate(names) if name and name in names[:at]), None)
    if twice is not None:
        raise InputError(
            f"{path} row {top}", f"names the column {twice!r} twice", "rename or drop one of them"
        )
    numbers: list[int] = []
    surplus: list[tuple[int, str]] = []
    for row, fields in records:
        numbers.append(row)
        surplus += [(row, field) for field in fields[len(names) :] if field.strip()][:1]
    if surplus:
        row, field = surplus[0]
        others = f", as have {len(surplus) - 1} other rows" if len(surplus) > 1 else ""
        raise InputError(
            f"{path} row {row}",
            f"has more fields than the header has columns (the first is {field[:40]!r}){others}",
            f"name their column, or put quotes around a field that holds {separator!r}",
        )
    names = [name or f"Unnamed: {at}" for at, name in enumerate(names)]
    table = pd.read_csv(
        io.StringIO(text, newline=""),
        sep=separator,
        header=0,
        names=names,
        usecols=range(len(names)),
        index_col=False,
        dtype={name: str for name in names if not numeric(name)},
        keep_default_na=False,
        low_memory=False,  # else a column's type is found in parts, and may differ between them
    )
    if len(table) != len(numbers):
        raise ValueError("its quotes do not pair")
    return table, numbers


def _records(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Every row that is not blank, with its number."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        for row, fields in enumerate(reader, start=1):
            # A quoted empty field, the only one, is a row of a table of one column.
            if len(fields) > 1 or (fields and not fields[0].isspace()):
                yield row, fields
    except csv.Error as error:
        raise ValueError(str(error)) from None
