"""The `Importer` contract, and `import_cells`: any source to images and a manifest, whole or not.

To add an importer is to add one module: a subclass with its name, its `Params` and `records`.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from bloomdiff.data.importers.records import ROW_COLUMNS, Record, Row, write_records
from bloomdiff.errors import BloomDiffError, InputError, ParameterError, raise_all
from bloomdiff.parallel import map_chunks
from bloomdiff.registry import Registry, nearest

if TYPE_CHECKING:
    import pandas as pd

    from bloomdiff.data.importers.classes import ClassRules

logger = logging.getLogger(__name__)


class ImporterParams(BaseModel):
    """Options of an importer; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Importer(ABC):
    """Knows one layout on disk and yields the cells in it.

    Attributes
    ----------
    name
        The KIND of ``bloomdiff data import KIND PATH``.
    summary
        What the layout is, in a line.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    Params: ClassVar[type[ImporterParams]] = ImporterParams
    params: Any  # an instance of `Params`; subclasses narrow it

    def __init__(self, params: ImporterParams | None = None) -> None:
        self.params = self.Params() if params is None else params

    @abstractmethod
    def records(self, path: Path) -> Iterator[Record]:
        """Yield the cells below `path`, in an order that depends on nothing but the files.

        Records of one field of view follow one another, so that it is decoded once. Images are
        not opened here: that is done by the worker processes.

        Raises
        ------
        InputError
            The layout is not the expected one. Several problems are raised together, by
            `bloomdiff.errors.raise_all`, before the first record where that is possible.
        """

    def remark(self, text: str) -> None:
        """Tell the user of something that was left out or changed, in one line."""
        logger.warning("%s", text)


IMPORTERS: Registry[type[Importer]] = Registry("importer")


def make_importer(kind: str, params: dict[str, Any] | None = None) -> Importer:
    """An importer by name; an unknown name or option is a `ParameterError`."""
    importer = IMPORTERS[kind]
    try:
        checked = importer.Params(**(params or {}))
    except ValidationError as error:
        valid = sorted(importer.Params.model_fields)
        problems: list[BloomDiffError] = []
        for problem in error.errors():
            key = ".".join(str(part) for part in problem["loc"])
            unknown = problem["type"] == "extra_forbidden"
            hint = nearest(key, valid) if valid else "it has none"
            problems.append(
                ParameterError(
                    f"importer {kind!r}, option {key!r}",
                    "is unknown" if unknown else f"{problem['msg']}: {problem['input']!r}",
                    hint if unknown else "mend the value",
                )
            )
        raise_all(problems)
    return importer(checked)


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
        Name of the data set in the manifest, in cell ids and in groups; by default that of
        `path`.
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
        manifest and neither `append` nor `replace` is set.
    ParameterError
        An unknown importer, option or class.
    """
    import pandas as pd

    from bloomdiff.data.importers.classes import ClassRules
    from bloomdiff.data.importers.transaction import MANIFEST, staging
    from bloomdiff.data.manifest import read_manifest
    from bloomdiff.data.schema import table_problems

    path, out = Path(path), Path(out)
    importer = make_importer(kind, params)
    if append and replace:
        raise ParameterError("--append --replace", "exclude one another", "give one of them")
    if not path.exists():
        raise InputError(str(path), "no such file or folder", "give the path of the data")
    source = source or path.resolve().name.split(".")[0]
    _check_name(source, "source")
    rules = classes or ClassRules()

    with staging(out, source) as stage:
        manifest = out / MANIFEST
        old = read_manifest(manifest) if manifest.exists() else None
        if old is not None and not (append or replace):
            raise InputError(
                str(manifest), "is there already", "add --append to join it or --replace to drop it"
            )
        kept = old if old is not None and append else None
        if kept is not None and source in set(kept["source"]):
            raise InputError(
                str(manifest), f"lists source {source!r} already", "name this one with --source"
            )
        records = rules.apply(importer.records(path))
        rows = _write(records, stage.images, source, jobs)
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
        raise_all([problem for _, problem in table_problems(cells, manifest)])
        stage.commit(cells, retired)
    return read_manifest(manifest)


def _paths(rows: Iterable[Row]) -> Iterator[str]:
    at = ROW_COLUMNS.index("path")
    return (str(row[at]) for row in rows)


def _write(records: Iterable[Record], images: Path, source: str, jobs: int) -> list[Row]:
    """Write all records in worker processes; every problem is raised at the end, together."""
    rows: list[Row] = []
    problems: list[BloomDiffError] = []
    work = partial(write_records, images=images, source=source)
    for written in map_chunks(
        work, _by_image(records, images), jobs=jobs, chunk=16, describe=f"import {source}"
    ):
        rows.extend(written.rows)
        problems.extend(written.problems)
        for remark in written.remarks:
            logger.warning("%s", remark)
    raise_all(problems)
    return rows


def _by_image(records: Iterable[Record], images: Path) -> Iterator[tuple[Record, ...]]:
    """Bundle the records of one image; check their names and make their folders on the way."""
    seen: set[str] = set()
    folders = {images}
    for _, bundle in groupby(records, key=_image_key):
        together = tuple(bundle)
        for record in together:
            _check_name(record.name, "file")
            if record.name in seen:
                raise InputError(record.name, "is the name of two cells", "rename one of them")
            seen.add(record.name)
            folder = (images / record.name).parent
            if folder not in folders:
                folder.mkdir(parents=True, exist_ok=True)
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


def _table(rows: Sequence[Row]) -> pd.DataFrame:
    import pandas as pd

    from bloomdiff.data.manifest import BOX_COLUMNS

    table = pd.DataFrame.from_records(rows, columns=list(ROW_COLUMNS))
    return table.drop(columns=list(BOX_COLUMNS)) if table["box_x"].isna().all() else table
