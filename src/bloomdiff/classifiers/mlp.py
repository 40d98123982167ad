"""A perceptron with one hidden layer, trained for a fixed number of steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from bloomdiff.classifiers.balance import BalancedParams
from bloomdiff.classifiers.base import (
    CLASSIFIERS,
    Arrays,
    Classifier,
    Indices,
    Probabilities,
)
from bloomdiff.data.embedding_set import Floats
from bloomdiff.threads import one_torch_thread
from bloomdiff.torch_state import learning, seeded_globally

if TYPE_CHECKING:
    from torch import Tensor, nn


class MLPParams(BalancedParams):
    """Hyper-parameters of `MultilayerPerceptron`."""

    hidden: int = Field(128, ge=1, description="width of the hidden layer")
    dropout: float = Field(0.3, ge=0, lt=1, description="on the hidden layer")
    lr: float = Field(3e-3, gt=0, description="peak learning rate of AdamW, one-cycle schedule")
    weight_decay: float = Field(0.01, ge=0)
    steps: int = Field(300, ge=1, description="gradient steps, whatever the number of rows")
    batch: int = Field(128, ge=2, description="rows a step, drawn with replacement")
    manifold_mixup: float = Field(
        0.0, ge=0, description="α of the Beta distribution of the share; 0 mixes nothing"
    )


@CLASSIFIERS.register("mlp")
class MultilayerPerceptron(Classifier):
    """Linear, GELU, dropout, linear; AdamW on the weighted cross-entropy.

    The number of steps is the regulariser in place of early stopping: a validation part cut from
    the training fold would have to be real, cost the rare classes cells, and let the length of
    training differ between ratios. With a fixed budget, more synthetic rows do not mean more
    training.

    `manifold_mixup` (Verma et al. 2019, arXiv:1806.05236) mixes the rows of a step with one
    another, at the input or in the hidden layer with equal chance, and asks for both labels in the
    same shares. On frozen embeddings it is a way to train the classifier, not a generator: what it
    mixes in the hidden layer is no embedding.
    """

    name = "mlp"
    Params = MLPParams
    params: MLPParams

    @one_torch_thread()  # which the base class cannot see to where torch is first imported here
    @learning()
    def _fit(
        self, Z: Floats, y: Indices, weight: Floats, n_classes: int, pool: Floats | None
    ) -> None:
        import torch
        from torch.nn.functional import cross_entropy

        device = torch.device(
            self.device
            if self.device != "auto"
            else ("cuda" if torch.cuda.is_available() else "cpu")
        )
        params = self.params
        rng = np.random.default_rng(self.seed)
        network = _empty_network(Z.shape[1], params.hidden, n_classes, params.dropout)
        bound = {"0": Z.shape[1] ** -0.5, "3": params.hidden**-0.5}
        initial = {
            key: torch.from_numpy(
                (bound[key[0]] * rng.uniform(-1, 1, size=value.shape)).astype(np.float32)
            )
            for key, value in network.state_dict().items()
        }
        network.load_state_dict(initial, assign=True)
        network.to(device).train()
        rows = torch.from_numpy(Z).to(device)
        target = torch.from_numpy(y).to(device)
        weights = torch.from_numpy(params.loss_weight(weight)).to(device)
        optimiser = torch.optim.AdamW(
            network.parameters(), lr=params.lr, weight_decay=params.weight_decay, fused=True
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, max_lr=params.lr, total_steps=params.steps, cycle_momentum=False
        )

        def loss(logits: Tensor, of: Tensor) -> Tensor:
            return cross_entropy(logits, target[of], reduction="none") * weights[of]

        draws = torch.from_numpy(rng.integers(len(Z), size=(params.steps, params.batch)))
        with seeded_globally(int(rng.integers(2**31))):  # for the dropout
            for picked in draws.to(device):
                if params.manifold_mixup:
                    share = rng.beta(params.manifold_mixup, params.manifold_mixup)
                    other = picked[torch.from_numpy(rng.permutation(len(picked))).to(device)]
                    layer = int(rng.integers(2))
                    logits = _mixed(network, rows[picked], rows[other], share, layer)
                    losses = share * loss(logits, picked) + (1 - share) * loss(logits, other)
                else:
                    losses = loss(network(rows[picked]), picked)
                optimiser.zero_grad()
                losses.mean().backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
        self._network = network.cpu().eval()
        with torch.no_grad():
            shift = torch.from_numpy(params.logit_shift(y, n_classes))
            self._network.get_parameter("3.bias").add_(shift)

    @one_torch_thread()
    def _proba(self, Z: Floats) -> Probabilities:
        import torch

        with torch.inference_mode():
            return torch.softmax(self._network(torch.from_numpy(Z)).double(), dim=1).numpy()

    def _state(self) -> Arrays:
        return {key: value.numpy() for key, value in self._network.state_dict().items()}

    def _restore(self, state: Arrays) -> None:
        import torch

        hidden, dim = state["0.weight"].shape
        network = _empty_network(dim, hidden, len(state["3.bias"]), self.params.dropout)
        network.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()}, assign=True)
        self._network = network.eval()

    @staticmethod
    def search_space(trial: Any) -> dict[str, Any]:
        """Width, dropout, learning rate, weight decay and length of training."""
        return {
            "hidden": trial.suggest_int("hidden", 64, 256, step=64),
            "dropout": trial.suggest_float("dropout", 0.0, 0.6),
            "lr": trial.suggest_float("lr", 3e-4, 1e-2, log=True),
            "weight_decay": trial.suggest_float("weight_decay", 1e-4, 1.0, log=True),
            "steps": trial.suggest_int("steps", 100, 500, step=100),
        }


def _empty_network(dim: int, hidden: int, n_classes: int, dropout: float) -> nn.Sequential:
    """The architecture without weights: default ones would draw from the global generator."""
    import torch
    from torch import nn

    with torch.device("meta"):
        return nn.Sequential(
            nn.Linear(dim, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, n_classes)
        )


def _mixed(network: nn.Sequential, a: Tensor, b: Tensor, share: float, layer: int) -> Tensor:
    """Logits of rows mixed at the input (layer 0) or in the hidden layer (1): share of `a`."""
    if layer == 0:
        return network(share * a + (1 - share) * b)
    enter, leave = network[:2], network[2:]
    return leave(share * enter(a) + (1 - share) * enter(b))
