"""Dataclasses and networks as named arrays, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from torch import nn

Arrays = dict[str, npt.NDArray[Any]]
T = TypeVar("T")


def pack(prefix: str, value: DataclassInstance) -> Arrays:
    """Every field of a dataclass of arrays, named `prefix.field`."""
    return {f"{prefix}.{f.name}": np.asarray(getattr(value, f.name)) for f in fields(value)}


def part(prefix: str, state: Mapping[str, T]) -> dict[str, T]:
    """The arrays or tensors named `prefix.…`, without the prefix."""
    start = f"{prefix}."
    return {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}


def pack_network(prefix: str, network: nn.Module) -> Arrays:
    """The weights and buffers of a network, named `prefix.…`."""
    weights = network.state_dict()
    return {f"{prefix}.{k}": v.detach().cpu().numpy() for k, v in weights.items()}


def restore_network(prefix: str, network: nn.Module, state: Arrays) -> None:
    """Put back what `pack_network` gave."""
    import torch

    weights = part(prefix, state)
    network.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in weights.items()})
