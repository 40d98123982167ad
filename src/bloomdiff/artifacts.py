"""Fitted generators and classifiers on disk: one folder of safetensors and JSON, no pickles."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from bloomdiff.errors import InputError, IntegrityError
from bloomdiff.files import atomic_dir, read_json, sha256_file, write_json
from bloomdiff.registry import Registry

T = TypeVar("T")
Arrays = dict[str, npt.NDArray[Any]]
AnyPath = str | Path
_STATE = "state.safetensors"


class _Card(dict[str, Any]):
    """A card, of which a part that is not there is an `IntegrityError`."""

    def __init__(self, card: dict[str, Any], path: Path) -> None:
        super().__init__(card)
        self.path = path

    def __missing__(self, key: str) -> Any:
        raise IntegrityError(str(self.path), f"lacks {key!r}", "delete the folder and fit anew")


def write_artifact(path: str | Path, noun: str, card: dict[str, Any], state: Arrays) -> None:
    """Write the folder `path`, atomically; equal content gives equal bytes.

    Parameters
    ----------
    path
        The folder; files of the same names in it are replaced, others are not lost (`atomic_dir`).
    noun
        What it holds ("generator"); its card is `<noun>.json`.
    card
        Plain data; `card[noun]` is the registered name. The state's SHA-256 is added.
    state
        Everything learned, as named arrays.
    """
    from safetensors.numpy import save_file

    with atomic_dir(path) as folder:
        save_file({k: np.ascontiguousarray(state[k]) for k in sorted(state)}, folder / _STATE)
        write_json(folder / f"{noun}.json", {**card, "sha256": sha256_file(folder / _STATE)})


def read_artifact(
    path: str | Path, noun: str, name: str, *, layout: int = 1
) -> tuple[dict[str, Any], Arrays]:
    """Card and state of a folder written by `write_artifact`.

    Parameters
    ----------
    path, noun
        As for `write_artifact`.
    name
        The registered name that the card must have.
    layout
        The card's layout that can be read; a card that names none has the first.

    Raises
    ------
    InputError
        No such folder, it holds something other than the `noun` called `name`, or another layout.
    IntegrityError
        The state is missing or not what was written, or the card lacks a part.
    """
    from safetensors.numpy import load_file

    folder = Path(path)
    card = read_json(folder / f"{noun}.json")
    if (held := card.get(noun) if isinstance(card, dict) else None) != name:
        what = f"holds a {held!r}" if held else f"does not name a {noun}"
        raise InputError(str(path), what, f"name a folder of {name}")
    if (found := card.get("layout", 1)) != layout:
        raise InputError(
            str(folder / f"{noun}.json"),
            f"is of layout {found}, and this version reads layout {layout}",
            "delete the folder and fit anew",
        )
    card = _Card(card, folder / f"{noun}.json")
    if not (folder / _STATE).exists() or sha256_file(folder / _STATE) != card["sha256"]:
        raise IntegrityError(
            str(folder / _STATE), "is missing or damaged", "delete the folder and run its stage"
        )
    return card, load_file(folder / _STATE)


def registered_kind(path: str | Path, registry: Registry[T]) -> T:
    """The registered thing whose fitted state the folder `path` holds.

    Raises
    ------
    InputError
        The folder holds none of the registry's.
    """
    card_path = Path(path) / f"{registry.noun}.json"
    card = read_json(card_path)
    if not isinstance(card, dict) or card.get(registry.noun) not in registry:
        raise InputError(
            str(card_path), f"does not name a {registry.noun}", "run the stage that writes it"
        )
    return registry[card[registry.noun]]
