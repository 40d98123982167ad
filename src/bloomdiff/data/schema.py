"""The manifest's schema: what each column may hold, checked without opening an image."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from bloomdiff.data.manifest import (
    BOX_COLUMNS,
    CELL_COLUMNS,
    PROBABILITY,
    SCORE_COLUMN,
    fields_of,
)
from bloomdiff.errors import BloomDiffError, InputError
from bloomdiff.registry import nearest

SPLITS = ("", "train", "val", "test")
VERIFIED = "verified"  # an optional column: 'yes' where the label is an expert's own
_WHOLE = r"^([1-9]\d*(\.0+)?)?$"  # pandas reads a column of whole numbers with gaps as floats
_NUMBER = r"^(\d+(\.\d*)?([eE][+-]?\d+)?)?$"
MOST_OFF = 1e-3  # from 1, of the sum of rounded probabilities
# Control characters look like nothing, or end a row of a CSV file.
_INNER = r"[^\x00-\x1f\x7f]"
_OUTER = r"[^\s\x00-\x1f\x7f]"
_MENDS = {
    "cell_id": "give every cell a name of its own",
    "path": "name each image once, below the manifest's folder, with forward slashes",
    "label": "write the class without these, or nothing",
    "group": "write the patient or slide without these, or nothing",
    "split": f"write {', '.join(SPLITS[1:])} or nothing",
    "source": "write the name of the data set",
    "field": "write the field's name without these, or nothing",
    "width": "write the width in pixels, or nothing",
    "height": "write the height in pixels, or nothing",
    "blake3": "write the digest of the pixels, or nothing",
    VERIFIED: "write yes or nothing",
}

UNLABELLED = "unlabelled"
"""Class of a cell that nobody has labelled yet, in formats where each box needs one."""

# The row's position in the table, or None for what belongs to no row; and what is wrong.
Problem = tuple[int | None, BloomDiffError]


def is_inside(path: str) -> bool:
    """Whether a manifest's path stays inside the folder that it is relative to."""
    parts = PurePosixPath(path).parts
    drive = re.match(r"[A-Za-z]:", path)
    plain = "\\" not in path and "\0" not in path  # no system has a file whose name holds a null
    return bool(parts) and parts[0] != "/" and ".." not in parts and plain and not drive


def where(manifest: Path, row: int) -> str:
    """Name a row as spreadsheets number it, the header being row 1."""
    return f"{manifest} row {row + 2}"


def as_text(cells: pd.DataFrame) -> pd.DataFrame:
    """Every column of the schema as text, '' for what is missing."""
    columns = [name for name in (*CELL_COLUMNS, *BOX_COLUMNS, VERIFIED) if name in cells.columns]
    return cells[columns].apply(lambda column: column.astype("str").where(column.notna(), ""))


def table_problems(
    cells: pd.DataFrame, manifest: Path, classes: Sequence[str] | None = None
) -> list[Problem]:
    """Everything wrong with the table itself.

    Parameters
    ----------
    cells
        A manifest.
    manifest
        Its file, for the messages.
    classes
        The known labels; where None, any that do not differ from another one in case, spaces and
        Unicode form alone.
    """
    import pandera.pandas as pa

    missing = [name for name in CELL_COLUMNS if name not in cells.columns]
    if missing:
        return [(None, InputError(str(manifest), f"lacks {', '.join(missing)}", "add them"))]
    if cells.empty:
        return [(None, InputError(str(manifest), "lists no cell", "import images"))]
    text = as_text(cells).reset_index(drop=True)
    found = label_problems(text["label"], manifest, classes)
    found += _group_problems(text, manifest)
    found += _opinion_problems(cells.reset_index(drop=True), manifest)
    try:
        _schema(text.columns).validate(text, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases
        for column, check, row, value in zip(
            cases["column"], cases["check"], cases["index"], cases["failure_case"], strict=True
        ):
            told = "is there twice" if check == "field_uniqueness" else check
            mend = _MENDS.get(column, "write the pixels from the field's upper left corner")
            place = where(manifest, int(row))
            found.append((int(row), InputError(place, f"{column} {value!r} {told}", mend)))
    return found


def _opinion_problems(cells: pd.DataFrame, manifest: Path) -> list[Problem]:
    """What is wrong with a detector's scores and class probabilities."""
    proba = [name for name in cells.columns if str(name).startswith(PROBABILITY)]
    names = [*([SCORE_COLUMN] if SCORE_COLUMN in cells.columns else []), *proba]
    told = cells[names].apply(lambda column: column.notna() & (column.astype("str") != ""))
    values = cells[names].apply(pd.to_numeric, errors="coerce")
    problems: list[Problem] = []
    for name in names:
        for row in (told[name] & ~values[name].between(0, 1)).to_numpy().nonzero()[0]:
            wrong = f"{name} '{cells[name][row]}' is no probability"
            problems.append((row, InputError(where(manifest, row), wrong, "write 0 to 1")))
    if proba and not problems:
        total = values[proba].sum(axis=1)
        off = told[proba].any(axis=1) & ((total - 1).abs() > MOST_OFF)
        for row in off.to_numpy().nonzero()[0]:
            wrong = f"its probabilities add up to {total[row]:.3f}"
            problems.append((row, InputError(where(manifest, row), wrong, "make it 1")))
    return problems


def _schema(columns: Iterable[str]) -> Any:
    import pandera.pandas as pa

    def matches(pattern: str, told: str) -> pa.Check:
        return pa.Check.str_matches(pattern, error=told)

    plain = rf"{_OUTER}({_INNER}*{_OUTER})?"
    odd = "has spaces around it or control characters in it"
    filled = matches(rf"^{plain}\Z", f"is empty or {odd}")
    trimmed = matches(rf"^({plain})?\Z", odd)
    one_line = matches(r"^[^\r]*\Z", "holds a carriage return")
    inside = pa.Check(lambda path: path.map(is_inside), error="leaves the manifest's folder")
    split = pa.Check.isin(SPLITS, error="is not a split")
    size = matches(_WHOLE, "is not a size")
    digest = matches(r"^([0-9a-f]{64})?$", "is not a BLAKE3 digest")
    number = matches(_NUMBER, "is not a number of pixels")
    checks = {
        "cell_id": pa.Column(str, filled, unique=True),
        "path": pa.Column(str, [inside, one_line], unique=True),
        "label": pa.Column(str, trimmed),
        "group": pa.Column(str, trimmed),
        "split": pa.Column(str, split),
        "source": pa.Column(str, filled),
        "width": pa.Column(str, size),
        "height": pa.Column(str, size),
        "blake3": pa.Column(str, digest),
        "field": pa.Column(str, trimmed),
        VERIFIED: pa.Column(str, pa.Check.isin(("", "yes"), error="is not yes")),
    }
    return pa.DataFrameSchema({name: checks.get(name, pa.Column(str, number)) for name in columns})


def label_problems(
    label: pd.Series, manifest: Path, classes: Sequence[str] | None = None
) -> list[Problem]:
    """Labels that are no class.

    Those that are not among `classes`, or where it is None that differ in spelling alone; and what
    says that a cell has no label.
    """
    present = [name for name in label.unique().tolist() if name]
    first = {name: int((label == name).argmax()) for name in present}
    for name in present:
        if spelling(name) == UNLABELLED:
            mend = f"leave it empty, on import with --map {name}="
            told = f"label {name!r} is no class"
            return [(first[name], InputError(where(manifest, first[name]), told, mend))]
    if classes is not None:
        return [
            (
                first[name],
                InputError(
                    where(manifest, first[name]),
                    f"label {name!r} is unknown",
                    nearest(name, list(classes)),
                ),
            )
            for name in present
            if name not in classes
        ]
    # Signs are kept: CD34+ and CD34- are two classes.
    return [
        (
            first[names[-1]],
            InputError(
                where(manifest, first[names[-1]]),
                f"labels {_told(names)} differ in spelling alone",
                f"write one of them, on import with --map {names[-1]}={names[0]}",
            ),
        )
        for names in _alike(present, spelling)
    ]


def spelling(name: str) -> str:
    """What two spellings of one class have in common: not capitals, spaces and Unicode form."""
    return re.sub(r"[\s_]+", " ", _folded(name)).strip()


def _group_problems(text: pd.DataFrame, manifest: Path) -> list[Problem]:
    """Patients or slides under two spellings, which would fall on both sides of a fold."""
    group = text["group"]
    # File systems that tell capitals apart may hold both A.png and a.png, two cells or fields.
    files = {"", *text["cell_id"]}
    files |= set(fields_of(text))
    first = group[~group.isin(files)].drop_duplicates()
    row = dict(zip(first, first.index, strict=True))
    return [
        (
            row[names[-1]],
            InputError(
                where(manifest, row[names[-1]]),
                f"groups {_told(names)} differ in spelling alone",
                "write one of them for one patient or slide",
            ),
        )
        for names in alike_groups(row)
    ]


def alike_groups(names: Iterable[str]) -> list[list[str]]:
    """Patients or slides that differ in case, spaces and Unicode form alone, each lot together."""
    return _alike(names, lambda name: re.sub(r"\s+", " ", _folded(name)).strip())


def _folded(name: str) -> str:
    """A name without capitals, in one of the forms that Unicode has for what looks alike."""
    folded = unicodedata.normalize("NFKC", name.casefold())
    # Zero-width spaces and the like, which nobody sees.
    return "".join(sign for sign in folded if unicodedata.category(sign) != "Cf")


def _alike(names: Iterable[str], key: Callable[[str], str]) -> list[list[str]]:
    """Names that share a key, where there are several."""
    sorted_in: dict[str, list[str]] = defaultdict(list)
    for name in names:
        sorted_in[key(name)].append(name)
    return [same for same in sorted_in.values() if len(same) > 1]


def _told(names: Iterable[str]) -> str:
    """Names as Python writes them; letters that only look alike as their code points."""
    names = list(names)
    plain = len({unicodedata.normalize("NFKC", name) for name in names}) == len(names)
    told = " and ".join(map(repr if plain else ascii, names))
    return re.sub(r" (?= )", r"\\x20", told)  # messages keep one space of several
