"""`import_cells`: any source to images and a manifest, all of it or nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from bloomdiff.data.importers.base import make_importer
from bloomdiff.data.importers.classes import ClassRules
from bloomdiff.data.importers.transaction import MANIFEST, staging
from bloomdiff.data.manifest import (
    BOX_COLUMNS,
    CELL_COLUMNS,
    PROBABILITY,
    SCORE_COLUMN,
    read_manifest,
)
from bloomdiff.data.records import Record, Row, write_records
from bloomdiff.data.schema import table_problems
from bloomdiff.errors import BloomDiffError, InputError, ParameterError, raise_all
from bloomdiff.parallel import map_chunks

Bundle = tuple[Record, ...]  # the records of one image
_LONGEST = 255  # bytes of a file's or folder's name

logger = logging.getLogger(__name__)


def import_cells(
    kind: str,
    path: str | Path,
    out: str | Path,
    params: dict[str, Any] | None = None,
    *,
    source: str = "",
    classes: ClassRules | None = None,
    jobs: int = 2,
    append: bool = False,
    replace: bool = False,
) -> pd.DataFrame:
    """Write the cells at `path` as ``out/images/<source>/...`` and ``out/manifest.csv``.

    Nothing changes in `out` unless everything succeeds; after a kill, the next import clears up.

    Parameters
    ----------
    kind
        Name of an importer.
    path
        Where the data are; what it must be depends on `kind`.
    out
        The folder of the project's data.
    params
        Options of the importer.
    source
        Name of the data set in the manifest, in cell ids and in groups; by default that of a
        published set, or of `path`.
    classes
        Which classes to keep, and under which names.
    jobs
        Worker processes.
    append
        Keep what an existing manifest lists, and add to it.
    replace
        Take away what an existing manifest lists, images too, and put this in its place.

    Returns
    -------
    pandas.DataFrame
        The whole manifest, as it was written.

    Raises
    ------
    InputError
        `path` is not of this kind; images that cannot be read (all told at once); `out` holds a
        manifest and neither `append` nor `replace` is set, or its images would be imported anew,
        since `path` holds them.
    ParameterError
        An unknown importer, option or class.
    """
    path, out = Path(path), Path(out)
    importer = make_importer(kind, params)
    if append and replace:
        raise ParameterError("--append --replace", "exclude one another", "give one of them")
    if not path.exists():
        raise InputError(str(path), "no such file or folder", "give the path of the data")
    source = source or importer.source or path.resolve().name.split(".")[0]
    _check_name(source, "source")
    rules = classes or ClassRules()

    with staging(out, source) as stage:
        manifest = out / MANIFEST
        old = _read_old(manifest) if manifest.exists() else None
        if old is not None and not (append or replace):
            raise InputError(
                str(manifest), "is there already", "add --append to join it or --replace to drop it"
            )
        kept = old if old is not None and append else None
        if kept is not None and source in set(kept["source"]):
            raise InputError(
                str(manifest), f"lists source {source!r} already", "name this one with --source"
            )
        records = importer.records(path)
        if old is not None and (out / "images").resolve().is_relative_to(path.resolve()):
            records = _foreign(records, path, out, old["path"])
        work: Iterable[Bundle] = _by_image(rules.apply(records), stage.images)
        # Gathered first where it is small, so that slips are told before the long work.
        work = work if importer.streams else list(work)
        rows = _write(work, stage.images, source, jobs)
        cells = _table(rows)
        if cells.empty:
            raise InputError(str(path), "holds no cell to import", "see what was left out above")
        if kept is not None:
            cells = pd.concat([kept, cells], ignore_index=True)
        if rules.common:
            cells = rules.keep_common(cells)
        paths = set(cells["path"])
        for dropped in set(_paths(rows)) - paths:
            (stage.images / PurePosixPath(dropped).relative_to("images", source)).unlink()
        retired = [] if old is None else [p for p in old["path"] if p not in paths or replace]
        raise_all(_problems(cells, manifest, source, path))
        stage.commit(cells, retired)
    return read_manifest(manifest)


def _read_old(manifest: Path) -> pd.DataFrame:
    try:
        return read_manifest(manifest)
    except InputError as error:  # whose mend may be the import that is under way
        images = manifest.parent / "images"
        raise InputError(
            error.where, error.problem, f"mend it, or move it and {images} away"
        ) from None


def _foreign(
    records: Iterable[Record], path: Path, out: Path, listed: Iterable[str]
) -> Iterator[Record]:
    """The records, none of which may be an image of the manifest that is there."""
    ours = {out.resolve() / name for name in listed}
    for record in records:
        image = record.image
        # Links to images elsewhere are ours too, what they lead to is not.
        if isinstance(image, Path) and image.parent.resolve() / image.name in ours:
            told = f"holds the images that {out / MANIFEST} lists, which would be taken for data"
            raise InputError(str(path), told, "give the folder of the data alone")
        yield record


def _problems(cells: pd.DataFrame, manifest: Path, source: str, path: Path) -> list[BloomDiffError]:
    """What is wrong with the table to be, by cell: its rows stand in no file yet.

    The cells of `source` come from `path`, all others from the manifest that is there.
    """
    told: list[BloomDiffError] = []
    for row, problem in table_problems(cells, manifest):
        if row is None:
            told.append(problem)
            continue
        name, of = cells[["cell_id", "source"]].iloc[row]
        where = f"{path if of == source else manifest}: cell {name!r}"
        told.append(InputError(where, problem.problem, problem.mend))
    return told


def _paths(rows: Iterable[Row]) -> Iterator[str]:
    at = CELL_COLUMNS.index("path")
    return (str(row[at]) for row in rows)


def _write(bundles: Iterable[Bundle], images: Path, source: str, jobs: int) -> list[Row]:
    """Write all records in worker processes; every problem is raised at the end, together."""
    rows: list[Row] = []
    problems: list[BloomDiffError] = []
    # What is copied is decoded and hashed by code that leaves the interpreter to other threads;
    # cutting crops and writing PNG does not.
    copies = isinstance(bundles, list) and all(map(_is_copied, bundles))
    for written in map_chunks(
        partial(write_records, images=images, source=source),
        bundles,
        jobs=jobs,
        chunk=16,
        threads=copies,
        describe=f"import {source}",
        total=len(bundles) if isinstance(bundles, list) else None,
    ):
        rows.extend(written.rows)
        problems.extend(written.problems)
        for remark in written.remarks:
            logger.warning("%s", remark)
    raise_all(problems)
    return rows


def _is_copied(bundle: Bundle) -> bool:
    return all(record.box is None and isinstance(record.image, Path) for record in bundle)


def _by_image(records: Iterable[Record], images: Path) -> Iterator[Bundle]:
    """Bundle the records of one image; check their names and make their folders on the way."""
    seen: set[str] = set()
    folders = {""}
    for _, bundle in groupby(records, key=_image_key):
        together = tuple(bundle)
        for record in together:
            _check_name(record.name, "file")
            if record.name in seen:
                raise InputError(record.name, "is the name of two cells", "rename one of them")
            seen.add(record.name)
            folder = record.name.rpartition("/")[0]
            if folder not in folders:
                (images / folder).mkdir(parents=True, exist_ok=True)
                folders.add(folder)
        yield together


def _image_key(record: Record) -> object:
    return record.image if isinstance(record.image, Path) else id(record)


def _check_name(name: str, what: str) -> None:
    """Refuse names that would leave their folder or not survive a CSV file."""
    parts = name.split("/") if what == "file" else [name]
    bad = any(part in ("", ".", "..") or "/" in part or "\\" in part for part in parts)
    if bad or not name.isprintable():
        raise InputError(f"{what} {name!r}", "is not a plain name", "rename it")
    if any(len(part.encode()) > _LONGEST for part in parts):
        raise InputError(f"{what} {name!r}", f"is longer than {_LONGEST} bytes", "rename it")


def _table(rows: Sequence[Row]) -> pd.DataFrame:
    columns = [*CELL_COLUMNS, *BOX_COLUMNS, SCORE_COLUMN, "proba"]
    table = pd.DataFrame.from_records(rows, columns=columns)
    told = [proba or {} for proba in table.pop("proba")]
    if table["box_x"].isna().all():
        table = table.drop(columns=list(BOX_COLUMNS))
    if table[SCORE_COLUMN].isna().all():
        table = table.drop(columns=SCORE_COLUMN)
    for name in sorted({name for proba in told for name in proba}):
        # A detector that names some classes gives the others none.
        values = [proba.get(name, 0.0) if proba else None for proba in told]
        table[PROBABILITY + name] = pd.array(values, dtype="float64")
    return table
