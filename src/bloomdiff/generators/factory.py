"""Generators by name, and back from disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bloomdiff.artifacts import registered_kind
from bloomdiff.generators.base import GENERATORS, Generator
from bloomdiff.validation import validated

if TYPE_CHECKING:
    from bloomdiff.generators.cell_images import CellImages


def make_generator(
    name: str,
    params: dict[str, Any] | None = None,
    *,
    seed: int,
    device: str = "cpu",
    images: CellImages | None = None,
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
    images
        For a generator that `needs_images`.

    Raises
    ------
    ParameterError
        An unknown name, an unknown key or a value of the wrong type or range.
    """
    kind = GENERATORS[name]
    checked = validated(kind.Params, params or {}, f"generator {name!r}")
    generator = kind(checked, seed=seed, device=device)
    generator.images = images
    return generator


def load_generator(
    path: str | Path, *, device: str = "cpu", images: CellImages | None = None
) -> Generator:
    """Read any generator written by `Generator.save`; one of images is given them to sample.

    Raises
    ------
    InputError
        The folder does not hold a generator.
    IntegrityError
        Its state is missing or damaged.
    """
    generator = registered_kind(path, GENERATORS).load(path, device=device)
    generator.images = images
    return generator
