"""One feature bag: vectors, and who they are as far as the file says it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt
import pandas as pd

from bloomdiff.data.embedding_set import Floats
from bloomdiff.errors import InputError

# Data sets of the HDF5 group `cells`, which bags written here carry.
IDENTITY = ("cell_id", "label", "split", "source")


@dataclass(frozen=True)
class Bag:
    """One bag's content.

    Attributes
    ----------
    path
        The file.
    X
        Vectors, float32 `(n, d)`.
    rows
        Who they are.
    header
        Plain data; {} where the bag has none.
    group
        The patient.
    named
        Whether the file says `group` itself; else it is the file's stem.
    """

    path: Path
    X: Floats
    rows: pd.DataFrame
    header: dict[str, Any]
    group: str
    named: bool


def read_bag(path: Path, labels: dict[str, str]) -> Bag:
    """Read a bag of either layout.

    Parameters
    ----------
    path
        The file.
    labels
        Class by patient, for the cells that the bag itself gives none.

    Raises
    ------
    InputError
        The file is no feature bag, what lies beside the vectors is not one a vector, or a label of
        the bag is another than that of `labels`.
    """
    import h5py

    try:
        with h5py.File(path) as bag:
            if not isinstance(bag.get("features"), h5py.Dataset):
                raise InputError(str(path), "has no data set 'features'", "name a feature bag")
            features = bag["features"]
            X = _matrix(features[()], path)
            meta = features.attrs.get("bloomdiff")
            header = _header(meta, path) if meta is not None else _named(features)
            cells = bag.get("cells")
            cells = cells if isinstance(cells, h5py.Group) else None
            told = None if cells is None else cells.attrs.get("group")
            group = unquote(path.stem) if told is None else str(told)
            table = _identity(path, len(X), cells, group)
            _fill_labels(table, labels.get(group, ""), path)
            coords = bag.get("coords")
            if isinstance(coords, h5py.Dataset) and coords.attrs.get("known", True):
                table["box_x"], table["box_y"] = _coords(coords[()], len(X), path).T
    except OSError as error:
        reason = str(error).splitlines()[0][:80]
        raise InputError(str(path), f"not an HDF5 file ({reason})", "fetch it again") from None
    return Bag(path, X, table, header, group, told is not None)


def _header(meta: Any, path: Path) -> dict[str, Any]:
    """The header of a bag that was written here."""
    try:
        header = json.loads(meta)
    except (TypeError, ValueError):
        header = None
    if not isinstance(header, dict):
        raise InputError(str(path), "its attribute 'bloomdiff' is no header", "write the bag again")
    return header


def _named(features: Any) -> dict[str, Any]:
    """The header of a bag that somebody else wrote, as TRIDENT does: its encoder's name."""
    name = features.attrs.get("encoder")
    name = name.decode(errors="replace") if isinstance(name, bytes) else name
    if not isinstance(name, str) or not name:
        return {}
    return {"encoder": name, "digest": "", "preprocessing": {}}


def _matrix(values: npt.NDArray[Any], path: Path) -> Floats:
    if values.ndim == 3 and values.shape[0] == 1:
        values = values[0]
    if values.ndim != 2:
        raise InputError(
            str(path), f"'features' is {values.shape}, not (cells, d)", "name a feature bag"
        )
    if values.dtype.kind not in "fiu":
        raise InputError(str(path), f"'features' holds {values.dtype}", "name a feature bag")
    with np.errstate(over="ignore"):  # it is told below
        X = np.ascontiguousarray(values, np.float32)
    if not np.isfinite(X).all():
        row = int(np.flatnonzero(np.logical_not(np.isfinite(X).all(axis=1)))[0])
        raise InputError(f"{path} row {row}", "the vector is not finite", "embed it again")
    return X


def _coords(values: npt.NDArray[Any], n: int, path: Path) -> npt.NDArray[Any]:
    if values.ndim == 3 and values.shape[0] == 1:
        values = values[0]
    if values.shape != (n, 2) or values.dtype.kind not in "fiu":
        raise InputError(
            str(path),
            f"'coords' is {values.dtype} {values.shape}, not numbers ({n}, 2)",
            "give each vector its left and top, or remove them",
        )
    return values


def _identity(path: Path, n: int, cells: Any, group: str) -> pd.DataFrame:
    """Who the rows are, as far as the HDF5 group `cells` says it."""
    width = len(str(max(n - 1, 0)))
    table = pd.DataFrame(
        {
            "cell_id": [f"{path.stem}/{row:0{width}d}" for row in range(n)],
            "label": "",
            "group": group,
            "split": "",
            "source": path.parent.name,
        }
    )
    for column in IDENTITY:
        if cells is not None and column in cells:
            table[column] = _texts(cells[column], n, f"{path} cells/{column}")
    return table


def _fill_labels(table: pd.DataFrame, given: str, path: Path) -> None:
    """Give the patient's class to the cells without one; a cell that has another is an error."""
    if not given:
        return
    other = ~table["label"].isin(["", given])
    if other.any():
        row = int(np.flatnonzero(other)[0])
        raise InputError(
            f"{path} row {row}",
            f"is labelled {table['label'].iloc[row]!r}, the labels by patient say {given!r}",
            "mend one of the two, or remove the patient from those labels",
        )
    table["label"] = given


def _texts(dataset: Any, n: int, where: str) -> npt.NDArray[np.object_]:
    import h5py

    mend = "write a text for each vector"
    if not isinstance(dataset, h5py.Dataset) or dataset.shape != (n,):
        raise InputError(where, f"is {dataset}, not texts ({n},)", mend)
    if h5py.check_string_dtype(dataset.dtype) is None:
        raise InputError(where, f"holds {dataset.dtype}, not texts", mend)
    try:
        return np.asarray(dataset.asstr()[()], dtype=object)
    except UnicodeDecodeError:
        raise InputError(where, "is not in UTF-8", mend) from None
