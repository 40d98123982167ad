"""Plain values to pydantic models; each mistake is one line that names its place and the mend."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bloomdiff.errors import BloomDiffError, ParameterError, raise_all

Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], values: Mapping[str, Any], where: str) -> Model:
    """Build `model` from plain values.

    Parameters
    ----------
    model
        The model; its unknown keys are errors if it forbids them.
    values
        Keys to values.
    where
        Whose values they are: a file, or a method's name.

    Raises
    ------
    ParameterError
        A key that is unknown or missing, or a value of the wrong type or range; several mistakes
        are told together.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        mistakes = [_explain(where, model, one) for one in error.errors()]
    raise_all(mistakes)
    raise AssertionError("a validation error tells at least one mistake")


def _explain(where: str, model: type[BaseModel], mistake: Any) -> BloomDiffError:
    keys = [str(part) for part in mistake["loc"]]
    place = f"{where}: {'.'.join(keys)}" if keys else where
    if mistake["type"] == "extra_forbidden":
        known = _known_keys(model, keys)
        mend = f"known here: {', '.join(known)}" if known else "nothing can be set here: write {}"
        if near := difflib.get_close_matches(keys[-1], known, n=1):
            mend = f"did you mean {near[0]!r}?"
        return ParameterError(place, "is not a known key", mend)
    if mistake["type"] == "missing":
        return ParameterError(place, "is missing", "add it")
    reason = mistake["msg"][:1].lower() + mistake["msg"][1:]
    return ParameterError(place, f"is {mistake['input']!r}", reason)


def _known_keys(model: Any, keys: list[str]) -> list[str]:
    for key in keys[:-1]:
        model = model.model_fields[key].annotation
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return []
    return sorted(model.model_fields)
