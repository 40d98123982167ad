"""Rows and labels as users hand them over: what is missing is said, not learned from."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bloomdiff.errors import InputError


def class_names(y: Any) -> npt.NDArray[np.str_]:
    """Class names `(n,)`; a missing one (None, NaN) is empty, as an unlabelled cell's.

    Whole numbers have one name: pandas makes 1.0 of 1 in a column with a gap.
    """
    import pandas as pd

    if isinstance(y, np.ndarray) and y.dtype.kind == "U":
        return y
    values = np.asarray(y, dtype=object)
    values = np.array([_whole(value) for value in values.ravel()], dtype=object).reshape(
        values.shape
    )
    return np.where(pd.isna(values), "", values.astype(str)).astype(str)


def _whole(value: Any) -> Any:
    """A whole float as the integer that it is."""
    whole = isinstance(value, float | np.floating) and float(value).is_integer()
    return int(value) if whole else value


def check_finite(X: npt.NDArray[np.float32], what: str) -> None:
    """Refuse rows `(n, d)` that are not finite; the first one is named, as the `what` it is.

    Raises
    ------
    InputError
        A row with a value that is NaN or infinite.
    """
    finite = np.isfinite(X)
    if not finite.all():
        row = int(np.flatnonzero(~finite.all(axis=1))[0])
        raise InputError(f"{what} {row}", "is not finite", "embed it again or drop it")
