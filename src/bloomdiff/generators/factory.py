"""Generators by name, and back from disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bloomdiff.errors import InputError, ParameterError
from bloomdiff.files import read_json
from bloomdiff.generators.base import GENERATORS, Generator
from bloomdiff.registry import nearest


def make_generator(
    name: str, params: dict[str, Any] | None = None, *, seed: int, device: str = "cpu"
) -> Generator:
    """An unfitted generator.

    Parameters
    ----------
    name
        A registered name: ``bloomdiff.generators.GENERATORS.names()``.
    params
        Hyper-parameters; what is left out takes its default.
    seed
        Seed of everything random in `fit`.
    device
        "cpu", "cuda" or "auto".

    Raises
    ------
    ParameterError
        An unknown name, an unknown key or a value of the wrong type or range.
    """
    kind = GENERATORS[name]
    try:
        checked = kind.Params(**(params or {}))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        valid = sorted(kind.Params.model_fields)
        unknown = first["type"] == "extra_forbidden"
        raise ParameterError(
            f"generator {name!r}, parameter {key!r}",
            "unknown key" if unknown else f"{first['msg']}, however: {first['input']!r}",
            nearest(key, valid) if unknown else "mend the value",
        ) from None
    return kind(checked, seed=seed, device=device)


def load_generator(path: str | Path, *, device: str = "cpu") -> Generator:
    """Read any generator written by `Generator.save`.

    Raises
    ------
    InputError
        The folder does not hold a generator.
    IntegrityError
        Its state is missing or damaged.
    """
    card = read_json(Path(path) / "generator.json")
    if not isinstance(card, dict) or card.get("generator") not in GENERATORS:
        raise InputError(
            f"{path}/generator.json", "does not name a generator", "run the stage that writes it"
        )
    return GENERATORS[card["generator"]].load(path, device=device)
