"""How long do the generators take, and how near do they come?

    python bench/generators.py                # 18,000 x 384 rows of 15 classes, two threads
    python bench/generators.py --rows 2000    # a quick look

One run, one machine, one data set: a long-tailed mixture of skewed clouds. For every generator the
time to fit, the rows sampled a second and the Fréchet distance to fresh rows of the mixture, beside
the distance of another fresh draw (the floor). For the diffusion generator also how the distance
falls with the training steps and with the steps of the sampler, and how both costs grow with the
rows. Timings mean something only on an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.files import write_json
from bloomdiff.generators import GENERATORS, make_generator
from bloomdiff.generators.base import Generator

ROOT = Path(__file__).parents[1]
DIM, CLASSES = 384, 15
Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.str_]
Result = dict[str, Any]


def clouds(n: int, seed: int) -> tuple[Floats, Labels]:
    """Rows of 15 classes with frequencies from 1 to 1/100, skewed, and their names."""
    world, rng = np.random.default_rng(0), np.random.default_rng([1, seed])
    centres = 0.4 * world.normal(size=(CLASSES, DIM))
    mix = world.normal(size=(DIM, DIM)) / DIM**0.5 * np.linspace(0.1, 2, DIM)
    bend = world.normal(size=(CLASSES, DIM))
    share = 100.0 ** (-np.arange(CLASSES) / (CLASSES - 1))
    y = np.sort(rng.choice(CLASSES, n, p=share / share.sum()))
    y[:CLASSES] = np.arange(CLASSES)  # every class at least once
    z = rng.normal(size=(n, DIM))
    z[:, -8:] = (z[:, -8:] ** 2 - 1) / 2**0.5
    X = centres[y] + z @ mix.T + 0.3 * bend[y] * (z[:, :1] ** 2 - 1)
    return X.astype(np.float32), np.asarray([f"class-{i:02d}" for i in y])


def frechet(a: Floats, b: Floats) -> float:
    """Squared Fréchet distance of the Gaussians with the moments of two sets of rows."""
    ca, cb = np.cov(a.astype(np.float64).T), np.cov(b.astype(np.float64).T)
    root = np.sqrt(np.maximum(np.linalg.eigvals(ca @ cb).real, 0)).sum()
    gap = a.mean(axis=0, dtype=np.float64) - b.mean(axis=0, dtype=np.float64)
    return float(gap @ gap + np.trace(ca) + np.trace(cb) - 2 * root)


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    value = call()
    return time.perf_counter() - start, value


def measure(name: str, params: Result, X: Floats, y: Labels, fresh: Floats) -> Result:
    """Fit, sample as many rows with the same frequencies, compare with fresh ones."""
    fingerprint = Fingerprint.of(["bench"])
    generator: Generator = make_generator(name, params, seed=0)
    fit, _ = timed(lambda: generator.fit(X, y, fingerprint=fingerprint))
    sample, rows = timed(lambda: generator.sample(y, seed=0))
    return {
        "generator": name,
        "params": params,
        "rows": len(X),
        "fit_s": round(fit, 2),
        "rows_per_s": round(len(y) / sample),
        "frechet": round(frechet(rows, fresh), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=18_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scaling", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results" / "generators.json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    X, y = clouds(options.rows, 0)
    fresh, _ = clouds(options.rows, 1)
    results: dict[str, Any] = {
        "rows": options.rows,
        "dim": DIM,
        "classes": CLASSES,
        "threads": options.threads,
        "frechet_floor": round(frechet(clouds(options.rows, 2)[0], fresh), 3),
        "generators": [],
        "training_steps": [],
        "sampling_steps": [],
        "scaling": [],
    }

    def record(part: str, name: str, params: Result, *data: Any) -> None:
        result = measure(name, params, *data)
        results[part].append(result)
        print(f"{part}: {result}", flush=True)
        write_json(options.out, results)

    for name in GENERATORS:
        if name not in ("none", "retrieval"):
            record("generators", name, {}, X, y, fresh)
    for n_steps in (0, 100, 300, 600, 1200):
        record("training_steps", "diffusion", {"n_steps": n_steps}, X, y, fresh)
    for steps in (4, 8, 16, 50):
        record("sampling_steps", "diffusion", {"sampling_steps": steps}, X, y, fresh)
    for n in options.scaling:
        record("scaling", "diffusion", {}, *clouds(n, 0), fresh)


if __name__ == "__main__":
    main()
