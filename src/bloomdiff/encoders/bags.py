"""Feature bags: one HDF5 file per patient with the vectors of that patient's cells.

Two layouts are read and written:

``marr``     ``features`` float32 `(n, d)`, as the DinoBloom embeddings of the Marr lab are
             released (huggingface.co/datasets/MarrLab/DinoBloom_hemato_embeddings).
``trident``  ``features`` and ``coords`` int `(n, 2)`, with attributes, as TRIDENT writes patch
             features (A. Zhang et al., 2025, arXiv:2502.06750); some versions lead with an axis
             of length 1.

A bag is a patient, and so a group, which never straddles folds. The file's stem names it, with what
no file system holds written as ``%2F``. Bags written here carry besides the HDF5 group ``cells``
with the true name and the rows' identity, which other readers ignore.
"""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.manifest import read_csv
from bloomdiff.data.schema import alike_groups, label_problems
from bloomdiff.encoders.bag_file import IDENTITY, Bag, read_bag
from bloomdiff.errors import BloomDiffError, InputError, raise_all
from bloomdiff.files import atomic_dir

Layout = Literal["marr", "trident"]
SUFFIXES = (".h5", ".hdf5")
_UNHOLDABLE = r'[%/\\:*?"<>|\x00-\x1f\x7f]|^\.|[. ]$'
_LONGEST = 200  # bytes of a stem: file systems end at 255, temporary names are longer

logger = logging.getLogger(__name__)


def write_bags(embeddings: EmbeddingSet, folder: str | Path, *, layout: Layout = "marr") -> int:
    """Write one bag per group into `folder`, which is replaced as a whole; return their number.

    Raises
    ------
    InputError
        A cell without a group, or a group whose name is too long for a file's.
    """
    import h5py

    nobody = embeddings.rows["group"].isin([""]) | embeddings.rows["group"].isna()
    if nobody.any():
        cell = embeddings.rows["cell_id"][nobody].iloc[0]
        raise InputError(
            f"cell {cell!r}",
            "is of no group, whose bag could hold it",
            "give it one in the manifest",
        )
    # A bag has a vector a cell: views would be told of that are not there.
    header = {name: told for name, told in embeddings.header.items() if name != "views"}
    if header.keys() != embeddings.header.keys():
        logger.warning("%s: bags hold no views; the cells' own vectors are written", folder)
    # As texts: a column of 7 and "7" is one group.
    groups = embeddings.rows.groupby(pd.Series(embeddings.group), sort=True).indices
    stems = {str(name): _stem(str(name)) for name in groups}
    text = h5py.string_dtype()
    with atomic_dir(folder) as temporary:
        for name, index in groups.items():
            rows = embeddings.rows.iloc[index]
            with h5py.File(temporary / f"{stems[str(name)]}.h5", "w", track_order=True) as bag:
                features = bag.create_dataset("features", data=embeddings.X[index])
                features.attrs["bloomdiff"] = json.dumps(header, sort_keys=True)
                if layout == "trident":
                    features.attrs["encoder"] = str(embeddings.header.get("encoder", ""))
                    _write_coords(bag, rows)
                cells = bag.create_group("cells")
                cells.attrs["group"] = str(name)
                for column in IDENTITY:
                    if column in rows:
                        texts = ["" if pd.isna(value) else str(value) for value in rows[column]]
                        cells.create_dataset(column, data=texts, dtype=text)
    return len(groups)


def _stem(group: str) -> str:
    """A file name's stem for any group, another one for each."""
    stem = re.sub(_UNHOLDABLE, lambda sign: f"%{ord(sign.group()):02X}", group)
    if not stem or len(stem.encode()) > _LONGEST:
        raise InputError(f"group {group!r}", "cannot name a file", "rename it in the manifest")
    return stem


def _write_coords(bag: Any, rows: pd.DataFrame) -> None:
    boxes = ["box_x", "box_y"]
    # Bags that were imported together may have none in part.
    known = all(column in rows and rows[column].notna().all() for column in boxes)
    coords = rows[boxes].to_numpy(np.int64) if known else np.zeros((len(rows), 2), np.int64)
    dataset = bag.create_dataset("coords", data=coords)
    dataset.attrs["known"] = known


def find_bags(path: str | Path) -> list[Path]:
    """Every bag under a folder, sorted, or the one file itself."""
    path = Path(path)
    if path.is_file():
        return [path]
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise InputError(str(path), "holds no feature bags (*.h5)", "name their folder")
    return found


def read_bag_labels(path: str | Path) -> dict[str, str]:
    """Read a CSV with the columns `patient` and `label` as class by patient.

    Raises
    ------
    InputError
        The file is missing or no such table, a patient is listed twice, or two classes differ in
        spelling alone.
    """
    try:
        table, rows = read_csv(Path(path))
        patients, classes = (table[name].str.strip() for name in ("patient", "label"))
    except FileNotFoundError:
        raise InputError(str(path), "no such file", "mend the path") from None
    except (KeyError, ValueError, OSError) as error:
        raise InputError(
            str(path), f"no table of labels ({error})", "give it the columns patient, label"
        ) from None
    twice = patients.duplicated().to_numpy().nonzero()[0]
    if len(twice):
        raise InputError(
            f"{path} row {rows[twice[0]]}",
            f"lists the patient {patients[twice[0]]!r} again",
            "keep one row for each",
        )
    raise_all(
        [
            InputError(f"{path} row {rows[at or 0]}", problem.problem, problem.mend)
            for at, problem in label_problems(classes, Path(path))
        ]
    )
    return dict(zip(patients, classes, strict=True))


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
        Class by patient (a bag's stem, or the group that it was written from), for cells that their
        bag gives none.

    Raises
    ------
    InputError
        No bags; a bag without `features`; vectors that are not finite; coordinates or identities
        that are not one a row; dimensions or encoders that differ between bags; a label that
        contradicts the bag's own; two bags of one stem, or of stems that differ in spelling alone,
        that do not say whose they are. All bags at fault are told at once. Labels of patients that
        have no bag.
    """
    paths = find_bags(path)
    problems: list[BloomDiffError] = []
    bags: list[Bag] = []
    patients: dict[str, Bag] = {}
    for file in paths:
        try:
            bag = read_bag(file, labels or {})
            _check_alike(bag, bags[0] if bags else bag)
            _check_patient(bag, patients.setdefault(bag.group, bag))
        except InputError as error:
            problems.append(error)
            continue
        bags.append(bag)
    problems += _respelled(patients)
    raise_all(problems)
    header = bags[0].header or {"encoder": encoder or "unknown", "digest": "", "preprocessing": {}}
    rows = pd.concat([bag.rows for bag in bags], ignore_index=True)
    twice = rows["cell_id"][rows["cell_id"].duplicated()]
    if len(twice):
        raise InputError(str(path), f"holds the cell {twice.iloc[0]!r} twice", "keep one of them")
    if labels:
        _compare_labels(labels, {bag.group for bag in bags}, rows, path)
    return EmbeddingSet(np.concatenate([bag.X for bag in bags]), rows, header)


def _check_alike(bag: Bag, first: Bag) -> None:
    """Refuse a bag whose vectors are of another kind than the first one's."""
    mend = "import bags of one encoder at a time"
    if bag.X.shape[1] != first.X.shape[1]:
        told = f"has vectors of {bag.X.shape[1]} numbers, {first.path.name} of {first.X.shape[1]}"
        raise InputError(str(bag.path), told, mend)
    if bag.header != first.header:
        raise InputError(str(bag.path), f"names another encoder than {first.path.name}", mend)


def _check_patient(bag: Bag, first: Bag) -> None:
    """Refuse two bags of one patient, unless both say themselves that they are that patient's."""
    # A folder of each site with a 001.h5: one group would hold the cells of two patients.
    if bag is not first and not (bag.named and first.named):
        raise InputError(
            str(bag.path),
            f"would be one patient with {first.path}, by the files' names alone",
            "give each patient's file a name of its own",
        )


def _respelled(patients: dict[str, Bag]) -> list[BloomDiffError]:
    """Patients under two spellings, which would fall on both sides of a fold."""
    lots = ([patients[name] for name in names] for names in alike_groups(patients))
    return [
        InputError(
            str(bags[-1].path),
            f"would be another patient than {bags[0].path}, by the spelling alone",
            "join the two in one bag, or rename one",
        )
        for bags in lots
        # Bags written here may be of cells and fields, of which a.png and A.png are two.
        if not all(bag.named for bag in bags)
    ]


def _compare_labels(
    labels: dict[str, str], groups: set[str], rows: pd.DataFrame, path: str | Path
) -> None:
    """Refuse labels that no bag takes, and tell of bags that have none or hold no vector."""
    strangers = [patient for patient in labels if patient not in groups]
    if strangers:
        raise InputError(
            str(path),
            f"holds no bag of {len(strangers)} labelled patient(s), the first {strangers[0]!r}",
            "write the bags' names without suffix, %2F in them as /, or remove the rows",
        )
    empty = sorted(groups - set(rows["group"]))
    if empty:
        logger.warning("%s: %d bag(s) hold no vector, the first %r", path, len(empty), empty[0])
    by_group = rows.groupby("group", sort=True)["label"]
    bare = [name for name, of_bag in by_group if (of_bag == "").all()]
    if bare:
        logger.warning("%s: %d bag(s) have no label, the first %r", path, len(bare), bare[0])
