"""What the map shows of one fold, as plain data for the page's script."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bloomdiff.data.embedding_set import EmbeddingSet, SyntheticSet
from bloomdiff.data.vocabulary import VOCABULARY, known_name
from bloomdiff.report.explorer.neighbourhood import (
    Neighbourhood,
    Usual,
    percentile,
    share_too_near,
    suspects,
)
from bloomdiff.report.explorer.pictures import Picture, pictures
from bloomdiff.report.explorer.projection import project_all
from bloomdiff.report.explorer.shown import shown, some
from bloomdiff.report.explorer.thumbnails import thumbnails

Doubles = npt.NDArray[np.float64]

MOST_TRAIN, MOST_TEST, MOST_SYNTHETIC = 2500, 1000, 4000  # points drawn; all generators together


def full_name(label: str) -> str:
    """What haematologists call a class; a name outside the vocabulary with spaces."""
    name = known_name(label)
    return VOCABULARY[name].meaning if name else label.replace("_", " ")


def build_scene(
    *,
    fold: str,
    train: EmbeddingSet,
    test: EmbeddingSet,
    synthetic: Mapping[str, SyntheticSet],
    proba: Mapping[str, Doubles],
    classes: list[str],
    images: Mapping[str, Path],
    seed: int,
    rendered: Mapping[str, Mapping[int, Picture]] | None = None,
) -> dict[str, Any]:
    """Places, neighbours, doubts and pictures of the cells of one fold.

    Parameters
    ----------
    fold
        Its name.
    train, test
        Its real cells.
    synthetic
        Generator to synthetic cells.
    proba
        Generator to the probabilities `(n, c)` that a classifier of real training cells gives its
        synthetic cells; columns in the order of `classes`.
    classes
        All class names.
    images
        Cell id to image file.
    seed
        Of the choice of points, where there are more than can be drawn, and of t-SNE.
    rendered
        Generator to row of its synthetic cells to their images, where they were drawn.

    Returns
    -------
    dict
        Plain lists and numbers, ready for JSON: `classes`, `cells` (drawn cells first, then those
        that are only neighbours and have no place), `generators`, `usual` and `drawn`.
    """
    rng = np.random.default_rng(seed)
    quota = MOST_SYNTHETIC // max(len(synthetic), 1)
    some_train = some(len(train), MOST_TRAIN, rng)
    some_test = some(len(test), MOST_TEST, rng)
    chosen = {name: shown(len(rows), quota, name, seed) for name, rows in synthetic.items()}
    real = {"train": train.X.astype(np.float64), "test": test.X.astype(np.float64)}
    usual = Usual.of(real["train"], real["test"], some_train, some_test)
    places = project_all(
        train.X[some_train],
        {
            "test": test.X[some_test],
            **{f"by {name}": synthetic[name].X[rows] for name, rows in chosen.items()},
        },
        seed=seed,
    )
    near = {
        name: Neighbourhood.of(
            synthetic[name].X[rows].astype(np.float64), real["train"], real["test"]
        )
        for name, rows in chosen.items()
    }
    cells, index = _cells(train, test, some_train, some_test, near, classes, images)
    cells["at"] = {
        name: _pairs(np.concatenate([own["train"], own["test"]])) for name, own in places.items()
    }
    return {
        "fold": fold,
        "classes": [{"name": name, "full": full_name(name)} for name in classes],
        "cells": cells,
        "usual": {"train": _median(usual.to_train), "test": _median(usual.to_test)},
        "drawn": {
            "train": [len(some_train), len(train)],
            "test": [len(some_test), len(test)],
        },
        "generators": {
            name: _generator(
                synthetic[name].label[rows],
                proba[name][rows],
                near[name],
                usual,
                index,
                classes,
            )
            | {
                "of": len(synthetic[name]),
                "at": {kind: _pairs(own[f"by {name}"]) for kind, own in places.items()},
                "rendered": pictures(rows, (rendered or {}).get(name, {})),
            }
            for name, rows in chosen.items()
        },
    }


def _median(values: Doubles) -> float:
    return round(float(np.median(values)), 4)


def _pairs(places: Doubles) -> list[list[float]]:
    return np.round(places.T, 3).tolist()


def _cells(
    train: EmbeddingSet,
    test: EmbeddingSet,
    some_train: npt.NDArray[np.intp],
    some_test: npt.NDArray[np.intp],
    near: Mapping[str, Neighbourhood],
    classes: list[str],
    images: Mapping[str, Path],
) -> tuple[dict[str, Any], dict[str, dict[int, int]]]:
    """Real cells that the page knows, and for either side the place of each row among them."""
    order = [("train", int(row)) for row in some_train] + [("test", int(row)) for row in some_test]
    known = set(order)
    wanted: dict[tuple[str, int], int] = dict.fromkeys(order, 0)
    for own in near.values():
        for side, rows in (("train", own.train), ("test", own.test)):
            for row, n in zip(*np.unique(rows, return_counts=True), strict=True):
                key = (side, int(row))
                wanted[key] = wanted.get(key, 0) + int(n)
    order += sorted(set(wanted) - known)
    sets = {"train": train, "test": test}
    ids = [str(sets[side].cell_id[row]) for side, row in order]
    labels = [classes.index(str(sets[side].label[row])) for side, row in order]
    table = {
        "id": ids,
        "label": labels,
        "kind": [int(side == "test") for side, _ in order],
        "image": thumbnails([images[name] for name in ids], [wanted[key] for key in order]),
    }
    index: dict[str, dict[int, int]] = {"train": {}, "test": {}}
    for position, (side, row) in enumerate(order):
        index[side][row] = position
    return table, index


def _generator(
    label: npt.NDArray[np.str_],
    proba: Doubles,
    near: Neighbourhood,
    usual: Usual,
    index: Mapping[str, Mapping[int, int]],
    classes: list[str],
) -> dict[str, Any]:
    """One generator's synthetic cells."""
    own = np.array([classes.index(str(name)) for name in label], dtype=np.intp)
    believed = proba[np.arange(len(own)), own]
    sides = (("train", near.train, near.train_distance), ("test", near.test, near.test_distance))
    return {
        "label": own.tolist(),
        "believed": np.round(believed, 3).tolist(),
        "top": proba.argmax(axis=1).tolist(),
        "top_believed": np.round(proba.max(axis=1), 3).tolist(),
        "near": {
            side: [[index[side][int(row)] for row in rows] for rows in found]
            for side, found, _ in sides
        },
        "distance": {side: np.round(distance, 3).tolist() for side, _, distance in sides},
        "percentile": {
            side: np.round(percentile(distance[:, 0], ordered), 1).tolist()
            for (side, _, distance), ordered in zip(
                sides, (usual.to_train, usual.to_test), strict=True
            )
        },
        "suspects": suspects(near, believed),
        "too_near": round(share_too_near(near, usual), 4),
    }
