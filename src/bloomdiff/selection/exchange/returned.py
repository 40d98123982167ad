"""Labels that came back, checked against the queue and put into the manifest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from bloomdiff.data.schema import VERIFIED, table_problems
from bloomdiff.data.vocabulary import VOCABULARY, known_name
from bloomdiff.errors import BloomDiffError, InputError, raise_all
from bloomdiff.registry import nearest
from bloomdiff.selection.exchange.base import FORMATS, Answer
from bloomdiff.selection.pool import class_key, is_open
from bloomdiff.selection.queue import BOX, PLACE, Queue
from bloomdiff.selection.twins import iou

SAME_BOX = 0.5  # intersection over union at which a box that came back is the one that was sent


def read_answers(
    path: Path,
    kind: str,
    queue: Queue,
    settled: pd.DataFrame | None = None,
    present: Iterable[str] = (),
) -> dict[str, str]:
    """Labels by cell, from a file of format `kind`.

    A tool's project may hold the cells of earlier queues: those that the queue knows of are
    labels like its own, and of `settled`, the manifest's cells that have an expert's label, those
    that come back with it once more are passed over.

    Classes are those of the queue, or names or codes of the vocabulary, which are brought to the
    queue's name of the same class, or where it has none to the vocabulary's; and all of them to
    what the labels `present` in the manifest call the class by now.

    Raises
    ------
    InputError
        A file of another format, a cell that was never asked for, one with two labels or on
        another cell's place, an unknown class; all of them are told, each with its place.
    """
    places = pd.concat([_places(queue.table), _places(queue.earlier)])
    asked, old = set(places["cell_id"]), dict[str, str]()
    if settled is not None:
        old = dict(zip(settled["cell_id"], settled["label"], strict=True))
        places = pd.concat(
            [places, _elsewhere(_places(settled[~settled["cell_id"].isin(asked)]), places)]
        )
    sent = _Sent(places)
    now = _by_key(present)
    labels: dict[str, str] = {}
    told: dict[str, str] = {}
    problems: list[BloomDiffError] = []
    for answer in FORMATS[kind]().read(path):
        try:
            cell = answer.cell_id or _find(answer, sent)
            label = _class(answer, queue.classes)
            label = now.get(class_key(label), label)
            _refuse_moved(answer, sent)
            if cell not in asked and cell not in old:
                raise InputError(
                    answer.where, f"cell {cell!r} is not in the queue", "drop it, or name its queue"
                )
            if labels.get(cell, label) != label:
                raise InputError(
                    answer.where,
                    f"cell {cell!r} is labelled {label}, and {labels[cell]} at {told[cell]}",
                    "keep one of them",
                )
            labels[cell], told[cell] = label, answer.where
        except InputError as error:
            problems.append(error)
    raise_all(problems)
    return {c: label for c, label in labels.items() if c in asked or old[c] != label}


def _places(table: pd.DataFrame) -> pd.DataFrame:
    """Where cells of a queue or a manifest are: crop, field and box, NaN where there is none."""
    places = table.reindex(columns=list(PLACE))
    boxes = places[list(BOX)].apply(pd.to_numeric, errors="coerce")
    return places.assign(**boxes)


def _elsewhere(settled: pd.DataFrame, sent: pd.DataFrame) -> pd.DataFrame:
    """Settled cells without those on another source's field of the name of one that was sent."""
    source = dict(zip(sent["field"], sent["source"], strict=True))
    source = {name: of for name, of in source.items() if isinstance(name, str) and name}
    asked = settled["field"].map(source)
    return settled[asked.isna() | (asked == settled["source"])]


def _by_key(labels: Iterable[str]) -> dict[str, str]:
    """Names of classes by `class_key`, where a class has one name alone."""
    names = pd.Series([name for name in dict.fromkeys(labels) if name], dtype=str)
    keys = names.map(class_key)
    alone = ~keys.duplicated(keep=False)
    return dict(zip(keys[alone], names[alone], strict=True))


class _Sent:
    """Cells that may come back, by the image that they are on: an export holds thousands."""

    def __init__(self, places: pd.DataFrame) -> None:
        self._crops = places.groupby("path")["cell_id"].agg(list).to_dict()
        boxed = places[places[list(BOX)].notna().all(axis=1)]
        self._fields = {
            field: (cells["cell_id"].to_numpy(), cells[list(BOX)].to_numpy(dtype=np.float64))
            for field, cells in boxed.groupby("field")
        }

    def on_crop(self, image: str) -> list[str]:
        """Cells whose crop is this image."""
        return self._crops.get(PurePosixPath(image).as_posix(), [])

    def overlaps(self, answer: Answer) -> pd.Series[float]:
        """How far its box is that of each cell of the same field, by cell; empty for no box."""
        there = self._fields.get(PurePosixPath(answer.image).as_posix())
        if answer.box is None or there is None:
            return pd.Series(dtype=np.float64)
        return pd.Series(iou(np.asarray(answer.box), there[1]), index=there[0])


def _refuse_moved(answer: Answer, sent: _Sent) -> None:
    """Refuse an answer that names one cell and lies on another one, as a copied box may."""
    overlap = sent.overlaps(answer)
    if overlap.get(answer.cell_id, SAME_BOX) < SAME_BOX <= overlap.max():
        told = f"is called {answer.cell_id!r} but lies on {overlap.idxmax()!r}"
        raise InputError(answer.where, told, "put the box back, or drop it")


def _find(answer: Answer, sent: _Sent) -> str:
    """The cell that an answer without an id was put on: by crop, or by field and box."""
    whole = sent.on_crop(answer.image)
    if len(whole) == 1 and _is_whole(answer):
        return whole[0]
    overlap = sent.overlaps(answer)
    if len(overlap) and overlap.max() >= SAME_BOX:
        return str(overlap.idxmax())
    raise InputError(
        answer.where,
        f"its label {answer.label!r} is on no cell of the queue",
        "drop the box: new cells are imported with `bloomdiff data import`",
    )


def _is_whole(answer: Answer) -> bool:
    """Whether a label is on an image as such, and on no other cell that it shows in part."""
    if answer.box is None or answer.size is None:
        return True
    image = np.array([[0.0, 0.0, *answer.size]])
    return bool(iou(np.asarray(answer.box), image)[0] >= SAME_BOX)


def _class(answer: Answer, classes: Sequence[str]) -> str:
    if answer.label in classes:
        return answer.label
    if name := known_name(answer.label):
        # A manifest may call the class by a source's code: two names would make it two classes.
        alike = [known for known in classes if known_name(known) == name]
        return alike[0] if len(alike) == 1 else name
    names = sorted({*classes, *VOCABULARY})
    raise InputError(
        answer.where, f"class {answer.label!r} is unknown", nearest(answer.label, names)
    )


def apply_answers(
    cells: pd.DataFrame,
    labels: dict[str, str],
    manifest: Path,
    *,
    unverified: Iterable[str] = (),
    overwrite: bool = False,
) -> pd.DataFrame:
    """The manifest with the labels filled in, and their cells marked as verified.

    Parameters
    ----------
    cells, manifest
        The manifest, and its file for messages.
    labels
        The expert's label by cell.
    unverified
        Sources whose labels a detector gave: the expert's take their place.
    overwrite
        Whether the expert's take the place of other experts' labels as well.

    Raises
    ------
    InputError
        A broken manifest, a cell that it lacks, or one that has another label already and
        `overwrite` is not set; all of them are told.
    """
    raise_all([problem for _, problem in table_problems(cells, manifest)])
    waits = is_open(cells, unverified)
    where = pd.Index(cells["cell_id"]).get_indexer(pd.Index(list(labels), dtype=object))
    problems: list[BloomDiffError] = []
    for (cell, label), at in zip(labels.items(), where, strict=True):
        old = "" if at < 0 else cells["label"].iloc[at]
        if at < 0:
            problems.append(InputError(f"{manifest}: cell {cell!r}", "is missing", "restore it"))
        elif old != label and not waits[at] and not overwrite:
            told = f"is labelled {old}, and now {label}"
            problems.append(InputError(f"{manifest}: cell {cell!r}", told, "give --overwrite"))
    raise_all(problems)
    if not labels:
        return cells
    given = cells["cell_id"].map(labels)
    before = cells[VERIFIED].fillna("") if VERIFIED in cells else ""
    verified = np.where(given.notna(), "yes", before)
    return cells.assign(label=given.fillna(cells["label"]), **{VERIFIED: verified})
