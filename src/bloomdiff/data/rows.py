"""Rows and labels as users hand them over: what is missing is said, not learned from."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bloomdiff.errors import InputError


def class_names(y: Any) -> npt.NDArray[np.str_]:
    """Class names `(n,)`; a missing one (None, NaN) is empty, as an unlabelled cell's."""
    import pandas as pd

    if isinstance(y, np.ndarray) and y.dtype.kind == "U":
        return y
    values = np.asarray(y, dtype=object)
    return np.where(pd.isna(values), "", values.astype(str)).astype(str)


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
