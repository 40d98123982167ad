"""The manifest: one row a cell, from where it came and to which group it belongs.

Two files share these columns: ``data/manifest.csv``, which importers write beside the images and
people may edit, and ``manifest/cells.parquet``, which the `prepare` stage writes after validation.
"""

from __future__ import annotations

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
# Where a detector found it: its score, and its probability of each class in `p.<class>`.
SCORE_COLUMN = "score"
PROBABILITY = "p."
TEXT_COLUMNS = ("cell_id", "path", "label", "group", "split", "source", "blake3", "field")


def write_manifest(cells: pd.DataFrame, path: str | Path) -> None:
    """Write a manifest as CSV or Parquet (by suffix), sorted by `cell_id`, atomically."""
    columns = [*CELL_COLUMNS, *(c for c in cells.columns if c not in CELL_COLUMNS)]
    table = cells[columns].sort_values("cell_id", ignore_index=True)
    with atomic_file(path) as temporary:
        if Path(path).suffix == ".parquet":
            table.to_parquet(temporary, index=False)
        else:
            table.to_csv(temporary, index=False)


def read_manifest(path: str | Path) -> pd.DataFrame:
    """Read a manifest written by `write_manifest`; text columns hold '' rather than NaN.

    Raises
    ------
    InputError
        The file is missing, cannot be parsed, or lacks a column.
    """
    path = Path(path)
    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
        else:
            text = dict.fromkeys(TEXT_COLUMNS, str)
            table = pd.read_csv(path, dtype=text, keep_default_na=False, na_values={})
    except FileNotFoundError:
        raise InputError(
            str(path), "no such file", "import images with `bloomdiff data import`"
        ) from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, OSError) as error:
        raise InputError(
            str(path), f"not a table ({str(error).splitlines()[0]})", "import the images again"
        ) from None
    missing = [name for name in CELL_COLUMNS if name not in table.columns]
    if missing:
        raise InputError(str(path), f"lacks the columns {', '.join(missing)}", "add them")
    return table
