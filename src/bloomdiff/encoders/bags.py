"""Feature bags: one HDF5 file per patient with the vectors of that patient's cells.

Two layouts are read and written:

``marr``     ``features`` float32 `(n, d)`, as the DinoBloom embeddings of the Marr lab are
             released (huggingface.co/datasets/MarrLab/DinoBloom_hemato_embeddings).
``trident``  ``features`` and ``coords`` int `(n, 2)`, with attributes, as TRIDENT writes patch
             features (A. Zhang et al., 2025, arXiv:2502.06750); some versions lead with an axis
             of length 1.

The file's stem is the patient, and so the group: a bag never straddles folds. Bags written here
carry besides the data set ``cells`` with the rows' identity, which other readers ignore.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from bloomdiff.data.embedding_set import EmbeddingSet, Floats
from bloomdiff.errors import BloomDiffError, InputError, raise_all
from bloomdiff.files import atomic_dir

Layout = Literal["marr", "trident"]
IDENTITY = ("cell_id", "label", "split", "source")
SUFFIXES = (".h5", ".hdf5")


def write_bags(embeddings: EmbeddingSet, folder: str | Path, *, layout: Layout = "marr") -> int:
    """Write one bag per group into `folder`, which is replaced as a whole; return their number.

    Raises
    ------
    InputError
        A group whose name cannot be a file's name.
    """
    import h5py

    groups = embeddings.rows.groupby("group", sort=True).indices
    for name in groups:
        if Path(str(name)).name != str(name) or str(name).startswith("."):
            raise InputError(f"group {name!r}", "cannot name a file", "rename it in the manifest")
    text = h5py.string_dtype()
    with atomic_dir(folder) as temporary:
        for name, index in groups.items():
            rows = embeddings.rows.iloc[index]
            with h5py.File(temporary / f"{name}.h5", "w", track_order=True) as bag:
                features = bag.create_dataset("features", data=embeddings.X[index])
                features.attrs["bloomdiff"] = json.dumps(embeddings.header, sort_keys=True)
                if layout == "trident":
                    features.attrs["encoder"] = str(embeddings.header.get("encoder", ""))
                    _write_coords(bag, rows)
                cells = bag.create_group("cells")
                for column in IDENTITY:
                    if column in rows:
                        cells.create_dataset(column, data=rows[column].tolist(), dtype=text)
    return len(groups)


def _write_coords(bag: Any, rows: pd.DataFrame) -> None:
    boxes = ["box_x", "box_y"]
    known = all(column in rows for column in boxes)
    coords = rows[boxes].to_numpy(np.int64) if known else np.zeros((len(rows), 2), np.int64)
    dataset = bag.create_dataset("coords", data=coords)
    dataset.attrs["known"] = known


def find_bags(path: str | Path) -> list[Path]:
    """Every bag under a folder, sorted, or the one file itself."""
    path = Path(path)
    if path.is_file():
        return [path]
    found = sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES and p.is_file())
    if not found:
        raise InputError(str(path), "holds no feature bags (*.h5)", "name their folder")
    return found


def read_bag_labels(path: str | Path) -> dict[str, str]:
    """Read a CSV with the columns `patient` and `label` as class by bag stem."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        return dict(zip(table["patient"], table["label"], strict=True))
    except FileNotFoundError:
        raise InputError(str(path), "no such file", "mend the path") from None
    except (KeyError, ValueError) as error:
        raise InputError(
            str(path), f"no table of labels ({error})", "give it the columns patient, label"
        ) from None


def read_bags(
    path: str | Path, *, encoder: str | None = None, labels: dict[str, str] | None = None
) -> EmbeddingSet:
    """Read bags of either layout as one set; every bag is a group.

    Parameters
    ----------
    path
        Folder of bags, or one bag.
    encoder
        What made the vectors, where the bags do not say it themselves.
    labels
        Class by bag stem, for bags that carry no labels of their own.

    Raises
    ------
    InputError
        No bags; a bag without `features`; vectors that are not finite; dimensions or encoders
        that differ between bags. All bags at fault are told at once.
    """
    paths = find_bags(path)
    problems: list[BloomDiffError] = []
    parts: list[Floats] = []
    tables: list[pd.DataFrame] = []
    headers: list[dict[str, Any]] = []
    for bag in paths:
        try:
            X, table, header = _read_bag(bag, labels or {})
            if parts and X.shape[1] != parts[0].shape[1]:
                raise InputError(
                    str(bag),
                    f"has vectors of {X.shape[1]} numbers, {paths[0].name} of {parts[0].shape[1]}",
                    "import bags of one encoder at a time",
                )
            if headers and header != headers[0]:
                raise InputError(
                    str(bag),
                    f"names another encoder than {paths[0].name}",
                    "import bags of one encoder at a time",
                )
        except InputError as error:
            problems.append(error)
            continue
        parts.append(X)
        tables.append(table)
        headers.append(header)
    raise_all(problems)
    header = headers[0] or {"encoder": encoder or "unknown", "digest": "", "preprocessing": {}}
    rows = pd.concat(tables, ignore_index=True)
    twice = rows["cell_id"][rows["cell_id"].duplicated()]
    if len(twice):
        raise InputError(str(path), f"holds the cell {twice.iloc[0]!r} twice", "keep one of them")
    return EmbeddingSet(np.concatenate(parts), rows, header)


def _read_bag(path: Path, labels: dict[str, str]) -> tuple[Floats, pd.DataFrame, dict[str, Any]]:
    import h5py

    try:
        with h5py.File(path) as bag:
            if not isinstance(bag.get("features"), h5py.Dataset):
                raise InputError(str(path), "has no data set 'features'", "name a feature bag")
            features = bag["features"]
            X = _matrix(features[()], path)
            meta = features.attrs.get("bloomdiff")
            header = json.loads(meta) if meta is not None else {}
            table = _identity(path, len(X), labels)
            for column in IDENTITY:
                if f"cells/{column}" in bag:
                    table[column] = bag[f"cells/{column}"].asstr()[()]
            if "coords" in bag and bag["coords"].attrs.get("known", True):
                coords = np.asarray(bag["coords"][()]).reshape(-1, 2)
                table["box_x"], table["box_y"] = coords[:, 0], coords[:, 1]
    except OSError as error:
        reason = str(error).splitlines()[0][:80]
        raise InputError(str(path), f"not an HDF5 file ({reason})", "fetch it again") from None
    return X, table, header


def _matrix(values: npt.NDArray[Any], path: Path) -> Floats:
    if values.ndim == 3 and values.shape[0] == 1:
        values = values[0]
    if values.ndim != 2:
        raise InputError(
            str(path), f"'features' is {values.shape}, not (cells, d)", "name a feature bag"
        )
    X = np.ascontiguousarray(values, np.float32)
    if not np.isfinite(X).all():
        row = int(np.flatnonzero(np.logical_not(np.isfinite(X).all(axis=1)))[0])
        raise InputError(f"{path} row {row}", "the vector is not finite", "embed it again")
    return X


def _identity(path: Path, n: int, labels: dict[str, str]) -> pd.DataFrame:
    width = len(str(max(n - 1, 0)))
    return pd.DataFrame(
        {
            "cell_id": [f"{path.stem}/{row:0{width}d}" for row in range(n)],
            "label": labels.get(path.stem, ""),
            "group": path.stem,
            "split": "",
            "source": path.parent.name,
        }
    )
