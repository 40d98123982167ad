"""Plain latent diffusion: a class-conditional DDIM on embeddings, as published for long tails."""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from bloomdiff.generators.base import GENERATORS, Arrays
from bloomdiff.generators.blocks import BLOCK
from bloomdiff.generators.components import (
    ComponentsGenerator,
    ComponentsParams,
    Doubles,
    Indices,
)
from bloomdiff.torch_state import learning, seeded_globally

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

TIMES = 1000
"""Noise levels of the training."""
_TIME_FEATURES = 64


class LatentDdimParams(ComponentsParams):
    """Hyper-parameters of the latent DDIM."""

    n_components: int = Field(default=48, ge=1, description="leading principal components")
    width: int = Field(default=256, ge=1, description="units of the hidden layers")
    depth: int = Field(default=3, ge=1, description="hidden layers")
    class_features: int = Field(default=64, ge=1, description="size of the class embedding")
    n_steps: int = Field(default=1000, ge=1, description="steps of Adam")
    batch_size: int = Field(default=128, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    sampling_steps: int = Field(default=50, ge=1, le=TIMES)


@GENERATORS.register("latent-ddim")
class LatentDdimGenerator(ComponentsGenerator):
    """A network that predicts the noise in z-scored components, sampled by DDIM.

    The method of LDMLR (Han et al. 2024, arXiv:2404.04517) on frozen embeddings: DDPM's linear
    noise schedule and simple loss (Ho et al. 2020, arXiv:2006.11239), a learned embedding of the
    class, deterministic DDIM steps (Song et al. 2021, arXiv:2010.02502). A perceptron stands in
    for the paper's convolutions, since the dimensions of a frozen embedding have no order. Classes
    share the network and nothing else: this is what diffusion does by itself with few rows.
    """

    name = "latent-ddim"
    Params = LatentDdimParams
    params: LatentDdimParams

    @staticmethod
    def search_space(trial: Any) -> dict[str, Any]:
        """Suggest the components, the learning rate and the length of training."""
        return {
            "n_components": trial.suggest_categorical("n_components", [16, 48, 128]),
            "learning_rate": trial.suggest_float("learning_rate", 1e-4, 3e-3, log=True),
            "n_steps": trial.suggest_int("n_steps", 500, 4000, step=500),
        }

    @learning()
    def _train(self, scores: Doubles, y: Indices) -> nn.Module:
        import torch
        from tqdm import trange

        params, device = self.params, self._device()
        Z = torch.from_numpy((scores / self._scale()).astype(np.float32)).to(device)
        label = torch.from_numpy(y.astype(np.int64)).to(device)
        keep = signal().to(device)
        draws = torch.Generator().manual_seed(self.seed)
        with seeded_globally(self.seed):
            network = self._network().to(device).train()
        optimiser = torch.optim.Adam(network.parameters(), lr=params.learning_rate, fused=True)
        for _ in trange(
            params.n_steps,
            desc=self.name,
            unit="step",
            leave=False,
            file=sys.stderr,
            disable=None,
        ):
            rows = torch.randint(len(Z), (params.batch_size,), generator=draws).to(device)
            time = torch.randint(TIMES, (params.batch_size,), generator=draws).to(device)
            noise = torch.randn((params.batch_size, Z.shape[1]), generator=draws).to(device)
            a = keep[time][:, None]
            noisy = a.sqrt() * Z[rows] + (1 - a).sqrt() * noise
            loss = ((network(noisy, time, label[rows]) - noise) ** 2).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return network.eval()

    def _draw(self, model: nn.Module, index: int, seed: int) -> Doubles:
        import torch

        device, scale = self._device(), self._scale()
        start = np.random.default_rng(seed).standard_normal((BLOCK, len(scale)), dtype=np.float32)
        label = torch.full((BLOCK,), index, device=device)
        with torch.inference_mode():
            Z = ddim(
                lambda x, time: model(x, time.expand(BLOCK), label),
                torch.from_numpy(start).to(device),
                self.params.sampling_steps,
            )
        return Z.cpu().numpy() * scale

    def _scale(self) -> Doubles:
        """Deviation of each component `(k,)`, 1 for one that does not vary."""
        scale = self._scores.std(axis=0)
        return np.where(scale > 1e-6 * max(scale.max(), 1e-12), scale, 1.0)

    def _device(self) -> torch.device:
        import torch

        auto = "cuda" if torch.cuda.is_available() else "cpu"
        return torch.device(auto if self.device == "auto" else self.device)

    def _network(self) -> nn.Module:
        params = self.params
        return noise_predictor(
            self._scores.shape[1],
            len(self.classes_),
            width=params.width,
            depth=params.depth,
            class_features=params.class_features,
        )

    def _state(self) -> Arrays:
        learned = self._model.state_dict().items()
        return super()._state() | {f"network.{k}": v.cpu().numpy() for k, v in learned}

    def _restore(self, state: Arrays) -> None:
        import torch

        super()._restore(state)
        with torch.device("meta"):
            network = self._network()
        learned = {
            key.removeprefix("network."): torch.from_numpy(value)
            for key, value in state.items()
            if key.startswith("network.")
        }
        network.load_state_dict(learned, assign=True)
        self._model = network.to(self._device()).eval()


def signal() -> Tensor:
    """Share of the signal's variance at each noise level, ᾱ `(TIMES,)`, falling."""
    import torch

    rate = torch.linspace(1e-4, 0.02, TIMES, dtype=torch.float64)
    return torch.cumprod(1 - rate, dim=0).float()


def ddim(predict: Any, x: Tensor, n_steps: int) -> Tensor:
    """Deterministic DDIM (Song et al. 2021, equation 12 with σ = 0) from noise to rows.

    Parameters
    ----------
    predict
        Noise in rows `(b, d)` at a level `()`.
    x
        Standard normal rows `(b, d)`.
    n_steps
        Levels visited, evenly spaced down to the lowest.
    """
    import torch

    keep = signal().to(x.device)
    times = torch.linspace(TIMES - 1, 0, n_steps, device=x.device).round().long()
    for i, time in enumerate(times):
        noise = predict(x, time)
        clean = (x - (1 - keep[time]).sqrt() * noise) / keep[time].sqrt()
        if i + 1 == len(times):
            return clean
        following = keep[times[i + 1]]
        x = following.sqrt() * clean + (1 - following).sqrt() * noise
    raise ValueError(f"n_steps must be positive, however: {n_steps}")


def noise_predictor(
    dim: int, n_classes: int, *, width: int, depth: int, class_features: int
) -> nn.Module:
    """A perceptron of rows `(b, dim)`, noise levels `(b,)` and class indices `(b,)`."""
    import torch
    from torch import nn

    class NoisePredictor(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.classes = nn.Embedding(n_classes, class_features)
            sizes = [dim + class_features + _TIME_FEATURES, *[width] * depth]
            layers: list[nn.Module] = []
            for before, after in itertools.pairwise(sizes):
                layers += [nn.Linear(before, after), nn.SiLU()]
            self.layers = nn.Sequential(*layers, nn.Linear(width, dim))

        def forward(self, x: Tensor, time: Tensor, label: Tensor) -> Tensor:
            octave = torch.arange(_TIME_FEATURES // 2, device=x.device)
            angle = time[:, None] * 1e-4 ** (2 * octave / _TIME_FEATURES)
            told = [x, self.classes(label), angle.sin(), angle.cos()]
            return self.layers(torch.cat(told, dim=1))

    return NoisePredictor()
