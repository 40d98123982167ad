"""Generators by name, and back from disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bloomdiff.errors import InputError
from bloomdiff.files import read_json
from bloomdiff.generators.base import GENERATORS, Generator
from bloomdiff.validation import validated


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
    checked = validated(kind.Params, params or {}, f"generator {name!r}")
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
