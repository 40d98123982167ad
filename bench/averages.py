"""Which average of the network's weights pays: none, exponential ones, EDM2's power functions.

    python bench/averages.py EMBEDDINGS.parquet ... --seeds 3

Karras et al. (2024, arXiv:2312.02696) store two averages during a training of days and put any
other together afterwards, because a second training would cost days. A training here takes
seconds, so all averages are followed at once, exactly: one training, and each average with its
own best moment by the held-out loss. Both schedules of the learning rate are tried, the model's
cosine to zero and a constant one, for which such averages were made.

The drawn clouds of `generators.py` (18,000 rows of 15 classes) and two thirds of each set of cells
given are learned; judged are the Fréchet distance to other rows and, on cells, the log-likelihood
of the other third in its class. Tables go to bench/results/averages.md, figures beside them.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from scipy.optimize import brentq
from tqdm import tqdm

import bloomdiff.diffusion.fitting as fitting
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.diffusion.config import DiffusionConfig
from bloomdiff.diffusion.model import ClassDiffusion
from bloomdiff.diffusion.network import Denoiser
from bloomdiff.diffusion.training import Trainer, held_out_loss
from bloomdiff.files import atomic_file, write_json
from bloomdiff.metrics.frechet import frechet_distance
from diffusion_choices import COMPONENTS, halves
from generators import FREQUENT, clouds

ROOT = Path(__file__).parents[1]
OUT = ROOT / "bench" / "results" / "averages.json"
DECAYS = (0.9, 0.99, 0.995)  # beyond, the warm-up of the decay is all there is of it
WIDTHS = (0.025, 0.05, 0.1, 0.15, 0.2, 0.25)  # of a profile, relative to the training so far
DEFAULT = f"exponential, {DiffusionConfig().ema_decay}"
Newest = Callable[[int], float]  # share of the newest weights in the average, by step
Judged = dict[str, float]


def exponent(width: float) -> float:
    """Exponent of the power function whose standard deviation is `width` of the training."""

    def excess(gamma: float) -> float:
        return float((gamma + 1) / ((gamma + 2) ** 2 * (gamma + 3))) - width**2

    return float(brentq(excess, -0.5, 1e4))


def power(gamma: float, step: int) -> float:
    """Share of the newest weights in an average by t^gamma."""
    return float(1 - (1 - 1 / step) ** (gamma + 1))


def exponential(decay: float, step: int) -> float:
    """Share of the newest weights in the model's own average."""
    return 1 - min(decay, step / (step + 10))


AVERAGES: dict[str, Newest] = {
    "none": lambda step: 1.0,
    **{f"exponential, {d}": partial(exponential, d) for d in DECAYS},
    **{f"power, {w}": partial(power, exponent(w)) for w in WIDTHS},
}


class Follower(Trainer):
    """A trainer that follows every average of `AVERAGES`, and keeps the best moment of each."""

    constant = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.averages = {name: copy.deepcopy(self.model) for name in AVERAGES}
        self.found = dict.fromkeys(AVERAGES, (self.first_loss, copy.deepcopy(self.model)))

    def _rate(self) -> float:
        return min(1.0, (self.step + 1) / 50) if self.constant else super()._rate()

    def _advance(self) -> None:
        super()._advance()
        weights: list[torch.Tensor] = list(self.model.parameters())
        with torch.no_grad():
            for name, average in self.averages.items():
                share = AVERAGES[name](self.step)
                torch._foreach_lerp_(list(average.parameters()), weights, share)

    def _look(self) -> None:
        super()._look()
        self.stale = 0  # all averages have the same training
        for name, average in self.averages.items():
            loss = held_out_loss(average, self.held_out, self.plan)
            if loss < self.found[name][0]:
                self.found[name] = loss, copy.deepcopy(average).eval()


def trained(
    X: np.ndarray, y: np.ndarray, seed: int, *, constant: bool
) -> tuple[ClassDiffusion, dict[str, tuple[float, Denoiser]]]:
    """A fitted model, and the network of each average with its held-out loss, of the start's."""
    followers: list[Follower] = []

    class Noted(Follower):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            followers.append(self)

    Noted.constant = constant
    with patch.object(fitting, "Trainer", Noted):
        model = ClassDiffusion(DiffusionConfig()).fit(X, y, seed=seed)
    (follower,) = followers
    first = follower.first_loss
    return model, {name: (loss / first, net) for name, (loss, net) in follower.found.items()}


def drawn_like(model: ClassDiffusion, y: np.ndarray, seed: int) -> np.ndarray:
    """Samples of the classes `y` `(n, d)`."""
    rows = np.empty((len(y), model.prior.whitening.dim), dtype=np.float32)
    for c in np.unique(y):
        of = np.flatnonzero(y == c)
        rows[of] = model.sample(int(c), len(of), np.random.default_rng([seed, int(c)]))
    return rows


def judge_clouds(model: ClassDiffusion, y: np.ndarray, fresh: np.ndarray, seed: int) -> Judged:
    """Fréchet distance of all rows, and its mean over the frequent classes."""
    rows = drawn_like(model, y, seed)
    enough = [c for c in np.unique(y) if (y == c).sum() >= FREQUENT * rows.shape[1]]
    each = [frechet_distance(rows[y == c], fresh[y == c]) for c in enough]
    return {"Fréchet": frechet_distance(rows, fresh), "within classes": float(np.mean(each))}


def judge_cells(
    model: ClassDiffusion, X: np.ndarray, y: np.ndarray, axes: np.ndarray, seed: int
) -> Judged:
    """Fréchet distance to other cells in the leading components, and their log-likelihood."""
    rows, nats = drawn_like(model, y, seed), np.empty(len(y))
    for c in np.unique(y):
        nats[y == c] = model.log_likelihood(X[y == c], int(c), divergence="hutchinson")
    return {"Fréchet": frechet_distance(rows @ axes, X @ axes), "nats a row": float(nats.mean())}


def task(name: str, seed: int) -> tuple[np.ndarray, np.ndarray, Callable[..., Judged]]:
    """Rows to learn, their classes, and what judges a model of them."""
    if name == "clouds":
        X, labels = clouds(18_000, seed, 384, 15)
        fresh, theirs = clouds(18_000, 1000 + seed, 384, 15)
        classes, y = np.unique(theirs, return_inverse=True)
        own = np.searchsorted(classes, labels)
        return X, own, partial(judge_clouds, y=y, fresh=fresh, seed=seed)
    train, test = halves(EmbeddingSet.load(name), seed)
    classes, own = np.unique(train.label, return_inverse=True)
    axes = np.linalg.svd(train.X - train.X.mean(axis=0), full_matrices=False)[2][:COMPONENTS].T
    y = np.searchsorted(classes, test.label)
    return train.X, own, partial(judge_cells, X=test.X, y=y, axes=axes, seed=seed)


def measure(sets: list[str], seeds: int, out: Path) -> list[dict[str, Any]]:
    """Every set, seed and schedule that `out` lacks; written as it comes."""
    rows: list[dict[str, Any]] = json.loads(out.read_text()) if out.exists() else []
    done = {(row["set"], row["seed"], row["schedule"]) for row in rows}
    todo = [
        (name, seed, schedule)
        for name in ("clouds", *sets)
        for seed in range(seeds)
        for schedule in ("cosine", "constant")
        if (label(name), seed, schedule) not in done
    ]
    for name, seed, schedule in tqdm(todo, unit="training"):
        X, y, judge = task(name, seed)
        model, found = trained(X, y, seed, constant=schedule == "constant")
        for average, (loss, network) in found.items():
            model.network.load_state_dict(network.state_dict())
            model.losses = np.asarray([1.0, loss])
            told = {"set": label(name), "seed": seed, "schedule": schedule, "average": average}
            rows.append({**told, "held-out loss": round(loss, 5), **judge(model)})
        write_json(out, rows)
    return rows


def label(name: str) -> str:
    """A set's name: that of the folder of its embeddings."""
    return name if name == "clouds" else Path(name).resolve().parent.name


def tables(rows: list[dict[str, Any]]) -> str:
    """A table for each set: means over seeds, and how far each is from the default."""
    import pandas as pd

    lines = [
        "# Which average of the weights pays",
        "",
        f"In brackets the mean difference from the default (cosine; {DEFAULT}), seed by seed,"
        " and its standard error. `bench/averages.py` says what is measured.",
    ]
    for name, part in pd.DataFrame(rows).groupby("set", sort=False):
        columns = [c for c in part.columns if c not in (*KEY, "set") and part[c].notna().all()]
        table = part.set_index(list(KEY))[columns]
        default = table.xs(("cosine", DEFAULT), level=("schedule", "average"))
        lines += ["", f"## {name}, {part['seed'].nunique()} trainings each", ""]
        lines += [f"| rate | average | {' | '.join(columns)} |", "|---" * (2 + len(columns)) + "|"]
        for (schedule, average), own in table.groupby(level=["schedule", "average"], sort=False):
            own = own.droplevel(["schedule", "average"])
            away = own - default
            error = away.std() / len(away) ** 0.5
            cells = [
                f"{own[c].mean():.3f} ({away[c].mean():+.3f}, {error[c]:.3f})" for c in columns
            ]
            lines.append(f"| {schedule} | {average} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


KEY = ("seed", "schedule", "average")


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare averages of the network's weights.")
    parser.add_argument("embeddings", nargs="*", help="embeddings of cells, cells.parquet")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    told = tables(measure(options.embeddings, options.seeds, options.out))
    with atomic_file(options.out.with_suffix(".md")) as temporary:
        temporary.write_text(told)
    print(told)


if __name__ == "__main__":
    main()
