"""A CSV table: one row a cell, its columns mapped by name."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal, get_args

from pydantic import Field

from bloomdiff.data.importers.base import IMPORTERS, Importer
from bloomdiff.data.importers.boxes import BoxParams, check_opinion
from bloomdiff.data.importers.paths import SPLITS, find_group, is_file
from bloomdiff.data.manifest import PROBABILITY, read_csv
from bloomdiff.data.records import Box, Record
from bloomdiff.data.schema import is_inside
from bloomdiff.errors import BloomDiffError, InputError, ParameterError, raise_all
from bloomdiff.registry import nearest

if TYPE_CHECKING:
    import pandas as pd

Column = Literal[
    "path", "label", "group", "split", "box_x", "box_y", "box_width", "box_height", "score"
]
_BOX: tuple[Column, ...] = ("box_x", "box_y", "box_width", "box_height")


class TableParams(BoxParams):
    """Options of the `csv` importer.

    Attributes
    ----------
    columns
        Our name of a column to the table's. Columns of the same name need no entry; a name that
        is ours but for capitals, spaces, dashes or underscores is refused; only `path` must be
        there. Without `label` (or where it is empty) a cell is unlabelled; with the four
        columns of a box, cells are cut out of the image. `score` is a detector's, and columns
        named ``p.<class>`` are its class probabilities.
    images
        The folder that paths are relative to; that of the table by default.
    separator
        What separates columns.
    """

    columns: dict[Column, str] = Field(default_factory=dict)
    images: Path | None = None
    separator: str = Field(default=",", min_length=1, max_length=1)


@IMPORTERS.register("csv")
class TableImporter(Importer):
    """Reads a table with a row for each cell."""

    name = "csv"
    summary = "a CSV table with path, label and optional group, split and box columns"
    Params = TableParams
    params: TableParams

    def records(self, path: Path) -> Iterator[Record]:
        """Yield one record a row, those of one image together."""
        table, numbers = self._read(path)
        root = self.params.images or path.parent
        # Rows of one field follow one another; otherwise the order stays.
        table["path"] = table["path"].map(_plain_path)
        order = table["path"].map({name: at for at, name in enumerate(table["path"].unique())})
        table = table.iloc[order.argsort(kind="stable")]
        problems: list[BloomDiffError] = []
        records: list[Record] = []
        names = [str(name) for name in table.columns]
        for row, *texts in table.itertuples(name=None):
            values = dict(zip(names, texts, strict=True))
            try:
                records.append(self._record(f"{path} row {numbers[row]}", row, values, root))
            except InputError as error:
                problems.append(error)
        raise_all(problems)
        yield from records

    def _read(self, path: Path) -> tuple[pd.DataFrame, list[int]]:
        """The columns that we know, under our names, and each row's number in the file."""
        import pandas as pd

        try:
            table, numbers = read_csv(path, separator=self.params.separator)
        except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
            raise InputError(str(path), f"is no table ({error})", "give a CSV file") from None
        names = {ours: self.params.columns.get(ours, ours).strip() for ours in get_args(Column)}
        for ours, theirs in names.items():
            needed = ours == "path" or ours in self.params.columns
            if needed and theirs not in table.columns:
                told = nearest(theirs, table.columns.tolist())
                raise ParameterError(
                    str(path), f"has no column {theirs!r} for {ours}", f"give --column; {told}"
                )
        present = {ours: theirs for ours, theirs in names.items() if theirs in table.columns}
        raise_all(list(_slips(path, table.columns.tolist(), present)))
        missing = [name for name in _BOX if name not in present]
        if missing and len(missing) < len(_BOX):
            raise InputError(
                str(path), f"has a part of a box: no {', '.join(missing)}", "give all four columns"
            )
        present |= {name: name for name in table.columns if name.startswith(PROBABILITY)}
        # Two of ours may be read from one of theirs, as where a slide has one cell.
        texts = {ours: table[theirs].str.strip() for ours, theirs in present.items()}
        return pd.DataFrame(texts), numbers

    def _record(self, where: str, row: int, values: dict[str, str], root: Path) -> Record:
        name = values["path"]
        if not is_inside(name):
            raise InputError(
                where,
                f"path {name!r} leaves the folder {root}",
                "write it relative to that folder, or to another with --set images=FOLDER",
            )
        if not is_file(root / name):
            raise InputError(where, f"no such image {root / name}", "restore it or drop the row")
        split = values.get("split", "")
        if split and split.lower() not in SPLITS:
            raise InputError(where, f"split {split!r} is unknown", nearest(split, list(SPLITS)))
        box = _box(where, values)
        score, proba = _opinion(where, values)
        stem = PurePosixPath(name).with_suffix("").as_posix()
        group = values.get("group") or find_group(self.params.group, name, root / name)
        return Record(
            name if box is None else f"{stem}-{row}.png",
            root / name,
            values.get("label", ""),
            group=group or ("" if box is None else name),
            split=SPLITS[split.lower()] if split else "",
            box=box,
            field="" if box is None else name,
            margin=self.params.margin,
            score=score,
            proba=proba,
        )


def _plain_path(text: str) -> str:
    """One spelling of a path: a field under two of them would be two groups."""
    return PurePosixPath(text.replace("\\", "/")).as_posix() if text else text


def _slips(
    path: Path, columns: list[str], present: Mapping[Column, str]
) -> Iterator[BloomDiffError]:
    """Columns that nothing reads, though but for the spelling they bear a name of ours.

    Passed over, a column of groups would leave every cell a group of its own, and patients on both
    sides of a fold.
    """
    absent = {_plain(ours): ours for ours in get_args(Column) if ours not in present}
    for name in columns:
        if name not in present.values() and (ours := absent.get(_plain(name))):
            yield ParameterError(
                str(path),
                f"has a column {name!r}, which is not read as {ours}",
                f"give --column {shlex.quote(f'{ours}={name}')} if it is, or rename it",
            )


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name.casefold())


def _opinion(where: str, values: dict[str, str]) -> tuple[float | None, dict[str, float] | None]:
    """A detector's score and class probabilities; None where the cells are empty."""
    named = {name: text for name, text in values.items() if name.startswith(PROBABILITY) and text}
    try:
        score = float(values["score"]) if values.get("score") else None
        proba = {name.removeprefix(PROBABILITY): float(text) for name, text in named.items()}
    except ValueError as error:
        raise InputError(where, f"a score is no number ({error})", "mend the row") from None
    check_opinion(where, score, proba or None)
    return score, proba or None


def _box(where: str, values: dict[str, str]) -> Box | None:
    """The row's box; None without the columns or where all four are empty."""
    texts = [values.get(name, "") for name in _BOX]
    if not any(texts):
        return None
    try:
        x, y, width, height = (float(text) for text in texts)
    except ValueError:
        raise InputError(where, f"box {texts} is not four numbers", "mend the row") from None
    return Box(x, y, width, height)
