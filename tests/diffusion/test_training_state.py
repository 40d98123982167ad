"""A training comes back from its tensors; the average follows its definition."""

import copy

import pytest
import torch
from torch import nn

from bloomdiff.diffusion.training_state import follow, pack_training, restore_training


def training(seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(3, 4), nn.SiLU(), nn.Linear(4, 2))
    generator = torch.Generator().manual_seed(seed)
    return generator, {"model": model}, torch.optim.AdamW(model.parameters(), lr=1e-2)


def advance(generator, modules, optimizer):
    optimizer.zero_grad()
    modules["model"](torch.randn((5, 3), generator=generator)).square().sum().backward()
    optimizer.step()


def test_a_restored_training_takes_the_same_steps():
    first, other = training(0), training(1)
    for _ in range(3):
        advance(*first)
    kept = pack_training(*first)
    assert {"rng", "model.0.weight", "optimizer.3.exp_avg_sq", "optimizer.0.step"} <= set(kept)
    before = {name: value.clone() for name, value in kept.items()}
    advance(*first)
    assert all(torch.equal(kept[name], before[name]) for name in kept)  # a copy
    restore_training(kept, *other)
    advance(*other)
    ended, again = pack_training(*first), pack_training(*other)
    assert all(torch.equal(ended[name], again[name]) for name in ended)
    assert not torch.equal(ended["model.0.weight"], kept["model.0.weight"])


def test_a_checkpoint_of_another_network_is_refused():
    generator, _, optimizer = training(0)
    kept = pack_training(generator, {"model": nn.Linear(2, 2)}, optimizer)
    with pytest.raises(RuntimeError, match="Missing key"):
        restore_training(kept, *training(0))


@pytest.mark.parametrize(("step", "decay"), [(1, 1 / 11), (10**6, 0.9)])
def test_the_average_follows_by_its_decay(step, decay):
    model = nn.Linear(3, 2)
    average = copy.deepcopy(model)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 1
    start = [weight.clone() for weight in average.parameters()]
    follow(average, model.parameters(), step, 0.9)
    for old, new in zip(start, average.parameters(), strict=True):
        torch.testing.assert_close(new, old + (1 - decay))
