"""From cells and embeddings to a queue: who is in the pool, what is kept out, who comes last."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.schema import UNLABELLED, table_problems
from bloomdiff.errors import ParameterError, raise_all
from bloomdiff.selection.filling import Filled, fill
from bloomdiff.selection.label_errors import contradictions
from bloomdiff.selection.limits import Limits
from bloomdiff.selection.pool import PLACES, Pool, id_digest
from bloomdiff.selection.quality import judge
from bloomdiff.selection.queue import Queue
from bloomdiff.selection.scores import Scores
from bloomdiff.selection.twins import TwinFilter, repeats_of


@dataclass(frozen=True)
class Plan:
    """How a queue is made.

    Attributes
    ----------
    strategy, params
        Name in the registry, and its options.
    seed
        Seed of everything random.
    limits
        Budgets and caps.
    min_cosine, min_iou
        From which on two cells are taken for one; above 0, at most 1.
    classes
        Classes that nobody has found yet and the expert may choose, besides the vocabulary's.

    Raises
    ------
    ParameterError
        A value out of range, or a class without a name.
    """

    strategy: str = "expected-gain"
    params: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    limits: Limits = field(default_factory=Limits)
    min_cosine: float = 0.995
    min_iou: float = 0.5
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("min_cosine", "min_iou"):
            value = getattr(self, name)
            if not 0 < value <= 1:
                raise ParameterError(name, f"is {value}", "give a number above 0, at most 1")
        for name in self.classes:
            if name != name.strip() or name in ("", UNLABELLED):
                raise ParameterError(f"class {name!r}", "is no name of a class", "name another")


def build_queue(
    cells: pd.DataFrame,
    embeddings: EmbeddingSet,
    plan: Plan,
    *,
    unverified: tuple[str, ...] = (),
    scores_file: Path | None = None,
    images: Path | None = None,
    manifest: Path = Path("manifest.csv"),
    before: Queue | None = None,
    jobs: int = 1,
) -> Queue:
    """Choose the cells that the expert should label next.

    Parameters
    ----------
    cells
        Manifest: cells without a label are the pool, the others are labelled.
    embeddings
        Of all these cells.
    plan
        Strategy, limits and seed.
    unverified
        Sources whose labels a detector gave: their cells belong to the pool until an expert's
        label comes back.
    scores_file
        Table of scores and class probabilities of the pool, see `read_scores`.
    images
        Folder that the manifest's paths are relative to, to look for artefacts; None does not look.
    manifest
        The manifest's file, for messages.
    before
        An earlier queue: those of its cells that are still without a label keep their places at
        the head.
    jobs
        Worker processes that look at images.

    Raises
    ------
    InputError, ParameterError
        A broken manifest, an empty pool, a budget above the pool, a cell without an embedding,
        scores that are none; each line names the object.
    """
    raise_all([problem for _, problem in table_problems(cells, manifest)])
    pool = Pool.of(cells, embeddings, unverified, scores_file, manifest, plan.classes)
    del embeddings  # the pool has its own rows: where the caller keeps none, they are freed
    unfit = [""] * len(pool.cells)
    if images is not None:
        unfit = judge([images / path for path in pool.cells["path"]], jobs=jobs)
    _refuse_idle_caps(plan.limits, pool.place)
    twins = TwinFilter(
        pool.X,
        pool.place["field"].tolist(),
        pool.boxes,
        min_cosine=plan.min_cosine,
        min_iou=plan.min_iou,
    )
    twins.remember_boxes(*pool.labelled_boxes)
    blocked = np.array([twins.repeats(i) for i in range(len(pool.cells))])
    blocked[repeats_of(pool.X, pool.labelled.X, min_cosine=plan.min_cosine)] = True
    head = {} if before is None else _still_open(before, pool, unfit)
    filled = fill(
        pool,
        plan.strategy,
        plan.params,
        plan.seed,
        plan.limits,
        twins,
        blocked,
        unfit=unfit,
        head=head,
    )
    review = contradictions(pool.labelled, seed=plan.seed, min_cosine=plan.min_cosine)
    header = _header(pool, plan, filled) | {"unverified": sorted(unverified)}
    return Queue(_table(pool, filled, pool.scores, before), review, header)


def _refuse_idle_caps(limits: Limits, place: pd.DataFrame) -> None:
    """Refuse a cap on what no cell of the pool has: it would bound nothing."""
    of = {"fields": "field", "per_field": "field", "per_slide": "slide", "per_patient": "patient"}
    for limit, what in of.items():
        if getattr(limits, limit) is not None and (place[what] == "").all():
            raise ParameterError(
                f"limit {limit}",
                f"bounds nothing: no cell of the pool has a {what}",
                f"fill the manifest's column {PLACES.get(what, what)}, or leave it out",
            )


def _still_open(before: Queue, pool: Pool, unfit: list[str]) -> dict[int, str | None]:
    """An earlier queue's cells, in its order, as positions in the pool; labelled ones are gone.

    With them the classes that stay in the table, None where its words are written anew.
    """
    table = before.table
    where = pd.Index(pool.cells["cell_id"]).get_indexer(pd.Index(table["cell_id"]))
    return {
        int(i): str(predicted) if (code == "unfit") == bool(unfit[i]) else None
        for i, predicted, code in zip(where, table["predicted"], table["code"], strict=True)
        if i >= 0
    }


def _table(pool: Pool, filled: Filled, scores: Scores, before: Queue | None) -> pd.DataFrame:
    rows = pool.cells.iloc[filled.index].reset_index(drop=True)
    table = pd.DataFrame({"rank": np.arange(1, len(rows) + 1)})
    keep = ["cell_id", "path", "group", "source", "width", "height"]
    keep += [
        name for name in ("field", "box_x", "box_y", "box_width", "box_height") if name in rows
    ]
    table = table.join(rows[keep])
    for name in ("width", "height"):  # the manifest need not tell them
        table[name] = pd.to_numeric(table[name], errors="coerce")
    table["predicted"] = filled.predicted
    table["confidence"] = filled.confidence
    table["detector_score"] = scores.score[filled.index]
    table["code"], table["reason"] = filled.code, filled.reason
    for name, values in sorted(filled.parts.items()):
        table[f"part:{name}"] = values
    if before is not None and len(before.table):
        # What was asked before keeps the words that it was asked with, unless it is unfit now and
        # was not then, or the other way round.
        old = before.table.set_index("cell_id")
        was = table["cell_id"].map(old["code"])
        known = was.notna() & ((was == "unfit") == (table["code"] == "unfit"))
        for column in [c for c in old.columns if c in table and c not in ("rank", *keep)]:
            table.loc[known, column] = old.loc[table.loc[known, "cell_id"], column].to_numpy()
    return table


def _header(pool: Pool, plan: Plan, filled: Filled) -> dict[str, Any]:
    return {
        "format": 1,
        "strategy": plan.strategy,
        "params": plan.params,
        "seed": plan.seed,
        "limits": plan.limits.model_dump(),
        "pool": {"cells": len(pool.cells), "digest": id_digest(pool.cells["cell_id"])},
        "labelled": {
            "cells": len(pool.labelled),
            "digest": id_digest(pool.labelled.cell_id + "=" + pool.labelled.label),
        },
        "embeddings": {"encoder": pool.encoder, "fingerprint": pool.labelled_and_pool.digest},
        "classes": pool.class_names,
        "taken": filled.taken,
        "kept_out": filled.kept_out,
    }
