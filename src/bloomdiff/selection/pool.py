"""The two sides of a manifest: cells with an expert's label, and the pool."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.data.manifest import fields_of
from bloomdiff.data.schema import VERIFIED, spelling
from bloomdiff.data.view_whitening import ViewWhitening
from bloomdiff.data.vocabulary import VOCABULARY, known_name
from bloomdiff.errors import InputError, ParameterError
from bloomdiff.registry import nearest
from bloomdiff.selection.geometry import Doubles, Floats
from bloomdiff.selection.scores import Scores, read_scores

BOX = ["box_x", "box_y", "box_width", "box_height"]
PLACES = {"slide": "group", "patient": "patient"}  # columns of the manifest


@dataclass(frozen=True)
class Pool:
    """Cells that may be asked for, and what is known besides.

    Attributes
    ----------
    cells
        Manifest rows of the pool.
    X
        Their embeddings, float32 `(n, d)`.
    place
        `field, slide, patient` of each; '' where there is none.
    boxes
        Their boxes `(n, 4)`, NaN where there is none.
    labelled
        The labelled cells.
    whitening
        Units in which cells are chosen, where they have views. Cells of a queue may have no group
        yet, so that it carries no fingerprint: whoever judges carries `labelled_and_pool`.
    labelled_boxes
        Fields and boxes of the labelled cells that have them.
    scores
        What a detector says.
    encoder
        Name of the encoder.
    class_names
        Classes that an annotator may choose from: the known ones first.
    """

    cells: pd.DataFrame
    X: Floats
    place: pd.DataFrame
    boxes: Doubles
    labelled: EmbeddingSet
    whitening: ViewWhitening | None
    labelled_boxes: tuple[list[str], Doubles]
    scores: Scores
    encoder: str
    class_names: list[str]

    @classmethod
    def of(
        cls,
        cells: pd.DataFrame,
        embeddings: EmbeddingSet,
        unverified: tuple[str, ...],
        scores_file: Path | None,
        manifest: Path,
        more_classes: tuple[str, ...] = (),
    ) -> Pool:
        """Divide a manifest; see `build_queue`."""
        sources = sorted(set(cells["source"]))
        if unknown := [name for name in unverified if name not in sources]:
            raise ParameterError(
                f"source {unknown[0]!r}", "is not in the manifest", nearest(unknown[0], sources)
            )
        open_ = is_open(cells, unverified)
        if not open_.any():
            raise InputError(
                str(manifest),
                "has no cell without a label",
                "import cells, or name the detector's source with --unverified",
            )
        rows = cells[open_].sort_values("cell_id", ignore_index=True)
        known = cells[~open_].sort_values("cell_id", ignore_index=True)
        labelled = embeddings.select(known["cell_id"].to_numpy(dtype=str))
        # The manifest is what the expert edits; the embeddings' labels may be older.
        labels = labelled.rows.assign(label=known["label"], group=known["group"])
        labelled = replace(labelled, rows=labels)
        pool = embeddings.select(rows["cell_id"].to_numpy(dtype=str))
        names = set(cells.loc[cells["label"] != "", "label"])
        _refuse_other_names(more_classes, names)
        if scores_file is None:
            scores = Scores.imported(rows, names)
        else:
            scores = read_scores(scores_file, rows["cell_id"].tolist(), names)
        fields = fields_of(known)
        boxed = known[(fields != "").to_numpy()]
        return cls(
            cells=rows,
            X=pool.X,
            place=_place(rows),
            boxes=_boxes(rows),
            labelled=labelled,
            whitening=ViewWhitening.of(labelled, pool, fingerprint=Fingerprint.empty()),
            labelled_boxes=(fields[fields != ""].tolist(), _boxes(boxed)),
            scores=scores,
            encoder=str(embeddings.header.get("encoder", "")),
            class_names=offered({*names, *scores.classes}, more_classes),
        )

    @cached_property
    def in_units(self) -> Floats:
        """The pool's embeddings `(n, d)` in the units in which cells are chosen."""
        return self._in_units(self.X)

    @cached_property
    def labelled_in_units(self) -> Floats:
        """The labelled cells' embeddings `(m, d)` in the same units."""
        return self._in_units(self.labelled.X)

    def _in_units(self, X: Floats) -> Floats:
        return X if self.whitening is None else self.whitening.transform(X)

    @property
    def labelled_and_pool(self) -> Fingerprint:
        """Groups that the choice saw: whoever judges it must not test on them."""
        groups = [name for name in self.cells["group"] if name]
        return Fingerprint.of([*groups, *(name for name in self.labelled.group if name)])


def _refuse_other_names(more: Iterable[str], known: Iterable[str]) -> None:
    """Refuse a new class that is a known one by another name: its cells would be divided."""
    ours = {class_key(name): name for name in known}
    for name in more:
        same = ours.setdefault(class_key(name), name)
        if same != name:
            raise ParameterError(f"class {name!r}", f"is {same!r} by another name", "leave it out")


def class_key(name: str) -> str:
    """What all names of one class have in common: those of the vocabulary, codes, spellings."""
    return spelling(known_name(name) or name)


def is_open(cells: pd.DataFrame, unverified: Iterable[str] = ()) -> npt.NDArray[np.bool_]:
    """Which rows of a manifest wait for an expert's label `(n,)`.

    Parameters
    ----------
    cells
        The manifest.
    unverified
        Sources whose labels a detector gave, but for those that an expert has verified since.
    """
    doubtful = cells["source"].isin(list(unverified))
    if VERIFIED in cells:
        doubtful &= cells[VERIFIED] != "yes"
    return ((cells["label"] == "") | doubtful).to_numpy(dtype=np.bool_)


def offered(known: Iterable[str], more: Iterable[str] = ()) -> list[str]:
    """Classes to choose from: those that are known, `more`, and the rest of the vocabulary.

    A cell may well be of a class that nobody has found yet, or no cell at all.
    """
    names = list(dict.fromkeys([*sorted(known), *more]))
    told = {known_name(name) for name in names}
    return [*names, *(name for name in VOCABULARY if name not in told)]


def _place(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {"field": fields_of(rows)}
        | {
            ours: rows[theirs].fillna("").astype(str) if theirs in rows else ""
            for ours, theirs in PLACES.items()
        },
        index=rows.index,
    )


def _boxes(rows: pd.DataFrame) -> Doubles:
    if not set(BOX) <= set(rows.columns):
        return np.full((len(rows), 4), np.nan)
    return rows[BOX].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)


def id_digest(names: Iterable[str]) -> str:
    """SHA-256 of names, whatever their order, hexadecimal."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()
