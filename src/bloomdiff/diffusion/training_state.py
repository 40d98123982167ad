"""A training under way as named tensors, and back; and the moving average of its weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from bloomdiff.diffusion.state import part

Checkpoint = dict[str, Tensor]


def pack_training(
    generator: torch.Generator, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer
) -> Checkpoint:
    """The random generator (`rng`), each module (`name.…`) and the optimiser's moments, copied."""
    state: Checkpoint = {"rng": generator.get_state()}
    for name, module in modules.items():
        state |= {f"{name}.{k}": v for k, v in module.state_dict().items()}
    for i, moments in optimizer.state_dict()["state"].items():
        state |= {f"optimizer.{i}.{k}": v for k, v in moments.items()}
    return {k: v.detach().cpu().clone().contiguous() for k, v in state.items()}


def restore_training(
    state: Checkpoint,
    generator: torch.Generator,
    modules: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
) -> None:
    """Put back what `pack_training` gave, as if there had been no interruption."""
    generator.set_state(state["rng"])
    for name, module in modules.items():
        module.load_state_dict(part(name, state))
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in part("optimizer", state).items():
        i, name = key.split(".")
        moments.setdefault(int(i), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})


def follow(average: nn.Module, weights: Iterable[Tensor], step: int, decay: float) -> None:
    """Move the average's weights towards `weights` after step `step`.

    The decay grows to `decay` as step / (step + 10): the first weights are soon forgotten.
    """
    decay = min(decay, step / (step + 10))
    with torch.no_grad():
        torch._foreach_lerp_(list(average.parameters()), list(weights), 1 - decay)
