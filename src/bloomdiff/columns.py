"""Frames of other things than numbers, told by column: scikit-learn names a value or a type."""

from __future__ import annotations

from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype, is_object_dtype

from bloomdiff.errors import InputError


def check_numbers(*frames: Any) -> None:
    """Pass frames whose columns hold numbers, and whatever is no frame of pandas.

    Objects pass too: they can be numbers, and scikit-learn looks at each.

    Raises
    ------
    InputError
        A column of categories, text or dates.
    """
    for frame in frames:
        if not isinstance(frame, pd.DataFrame):
            continue
        for name, kind in zip(frame.columns, frame.dtypes, strict=True):
            if not is_numeric_dtype(kind) and not is_object_dtype(kind):
                raise InputError(
                    f"column {name!r}",
                    f"is of type {kind}, and numbers are wanted",
                    "leave it out, or encode it as numbers",
                )
