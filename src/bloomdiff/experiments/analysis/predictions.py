"""The test cells' probabilities, one sweep setting at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bloomdiff.experiments.summary import KEYS
from bloomdiff.metrics.calibration import scale_temperature
from bloomdiff.metrics.classification import class_indices

_PREFIX = "p."


@dataclass(frozen=True)
class Setting:
    """One fold, generator, ratio and seed of the primary classifier.

    Attributes
    ----------
    key
        `fold, generator, ratio, seed`.
    truth
        Class indices of the test cells `(t,)`.
    proba
        Probabilities `(t, c)`, after temperature scaling where a temperature could be learned.
    groups, cell_ids
        Of the test cells `(t,)`.
    """

    key: dict[str, Any]
    truth: npt.NDArray[np.intp]
    proba: npt.NDArray[np.float64]
    groups: npt.NDArray[np.str_]
    cell_ids: npt.NDArray[np.str_]

    @property
    def predicted(self) -> npt.NDArray[np.intp]:
        """The most probable class of each cell `(t,)`."""
        return np.asarray(self.proba.argmax(axis=1), dtype=np.intp)


def class_names(predictions: pd.DataFrame) -> list[str]:
    """The classes that have a column of probabilities, sorted."""
    columns = [str(c) for c in predictions.columns if str(c).startswith(_PREFIX)]
    return sorted(column.removeprefix(_PREFIX) for column in columns)


def settings(predictions: pd.DataFrame, calibration: pd.DataFrame) -> Iterator[Setting]:
    """Every setting of the table `predictions`, scaled by the temperatures of `calibration`."""
    classes = class_names(predictions)
    columns = [f"{_PREFIX}{name}" for name in classes]
    temperatures = calibration.set_index(KEYS)["temperature"].to_dict()
    for values, part in predictions.groupby(KEYS, sort=False):
        # A fold that knows a class neither in training nor in test has no column for it.
        proba = part[columns].fillna(0).to_numpy(dtype=np.float64)
        proba = proba / proba.sum(axis=1, keepdims=True)
        temperature = temperatures[values]
        if np.isfinite(temperature):
            proba = scale_temperature(proba, temperature)
        yield Setting(
            dict(zip(KEYS, values, strict=True)),
            class_indices(part["true"].to_numpy(dtype=str), classes),
            proba,
            part["group"].to_numpy(dtype=str),
            part["cell_id"].to_numpy(dtype=str),
        )
