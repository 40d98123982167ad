"""How long do the generators take, and how near do they come?

    python bench/generators.py                                   # 18,000 x 384 rows, 15 classes
    python bench/generators.py --generators diffusion ctgan      # these alone
    python bench/generators.py --quick                           # a few minutes

One data set, one machine: a long-tailed mixture of skewed clouds. Every measurement runs in a
process of its own and is written to bench/results/generators.json as it comes; what is there
already, of the same settings, is not measured again unless --fresh or a longer --limit is given.
Four parts:

generators  time to fit, rows sampled a second and the Fréchet distance to fresh rows, of all and
            the mean over the frequent classes, beside that of another fresh draw (the floor); who
            is not installed or over the limit is told so, and stands there with less training too
training    the diffusion generator by training steps: the time to within 5 % of its final distance
sampling    the same by steps of the sampler, over several draws: the fewest steps whose distance is
            not measurably above that of 50
scaling     seconds to fit and to sample by rows, and to sample and to train by steps

Timings mean something only on an otherwise idle machine. Tables and the plot of the scaling:
`generators_tables.py`, which is called at the end.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.errors import BloomDiffError
from bloomdiff.files import write_json
from bloomdiff.generators import GENERATORS, make_generator
from bloomdiff.metrics.frechet import frechet_distance
from generators_tables import report

ROOT = Path(__file__).parents[1]
DEFAULT_OUT = ROOT / "bench" / "results" / "generators.json"
PARTS = ("generators", "training", "sampling", "scaling")
TRAINING_STEPS = (0, 100, 200, 300, 400, 600, 900, 1200)
SAMPLING_STEPS = (4, 8, 12, 16, 24, 50)
FREQUENT = 2  # rows a dimension from which a class has a distance of its own
# Hours with the defaults: fewer components, noise levels and trees, or a shorter training.
FEWER_TREES = {"n_components": 8, "n_t": 10, "n_estimators": 20, "duplicate_k": 20}
REDUCED = {"forest-diffusion": FEWER_TREES, "ctgan": {"epochs": 20}}
Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.str_]
Result = dict[str, Any]


def clouds(n: int, seed: int, dim: int, classes: int) -> tuple[Floats, Labels]:
    """Rows of classes with frequencies from 1 to 1/100, skewed, and their names."""
    world, rng = np.random.default_rng(0), np.random.default_rng([1, seed])
    centres = 0.4 * world.normal(size=(classes, dim))
    mix = world.normal(size=(dim, dim)) / dim**0.5 * np.linspace(0.1, 2, dim)
    bend = world.normal(size=(classes, dim))
    share = 100.0 ** (-np.arange(classes) / (classes - 1))
    y = np.sort(rng.choice(classes, n, p=share / share.sum()))
    y[:classes] = np.arange(classes)  # every class at least once
    X = np.empty((n, dim), dtype=np.float32)
    for start in range(0, n, 100_000):
        of = y[start : start + 100_000]
        z = rng.normal(size=(len(of), dim))
        z[:, -8:] = (z[:, -8:] ** 2 - 1) / 2**0.5
        X[start : start + len(of)] = centres[of] + z @ mix.T + 0.3 * bend[of] * (z[:, :1] ** 2 - 1)
    return X, np.asarray([f"class-{i:02d}" for i in range(classes)])[y]


def distances(rows: Floats, label: Labels, fresh: Floats, theirs: Labels) -> Result:
    """Fréchet distance of all rows, and the mean over the classes with rows enough in both."""
    enough = FREQUENT * rows.shape[1]
    pairs = [(rows[label == name], fresh[theirs == name]) for name in np.unique(label)]
    each = [frechet_distance(*pair) for pair in pairs if min(map(len, pair)) >= enough]
    return {
        "frechet": round(frechet_distance(rows, fresh), 4),
        "frechet_class": round(float(np.mean(each)), 4) if each else None,
    }


def one(task: Result) -> Result:
    """Fit one generator in this process, sample as many rows (or `sampled`), and compare."""
    import torch

    torch.set_num_threads(task["threads"])
    shape = task["dim"], task["classes"]
    if task["generator"] == "fresh rows":
        ours, theirs = (clouds(task["rows"], seed, *shape) for seed in (2, 1))
        return _listed([distances(*ours, *theirs)])
    X, y = clouds(task["rows"], 0, *shape)
    generator = make_generator(task["generator"], task["params"], seed=0, device=task["device"])
    start = time.perf_counter()
    try:
        generator.fit(X, y, fingerprint=Fingerprint.of(["bench"]))
    except BloomDiffError as error:
        return {"unavailable": str(error)}
    fit = time.perf_counter() - start
    asked = y if task["sampled"] is None else np.resize(y, task["sampled"])
    fresh = clouds(task["rows"], 1, *shape) if task["draws"] else None
    found, seconds = [], []
    for seed in range(max(task["draws"], 1)):
        start = time.perf_counter()
        rows = generator.sample(asked, seed=seed)
        seconds.append(time.perf_counter() - start)
        if fresh is not None:
            found.append(distances(rows, asked, *fresh))
    return {
        "fit_s": round(fit, 3),
        "sample_s": round(float(np.median(seconds)), 3),
        "rows_per_s": round(len(asked) / float(np.median(seconds))),
        **_listed(found),
    }


def _listed(found: list[Result]) -> Result:
    return {key: [each[key] for each in found] for key in ("frechet", "frechet_class")}


def isolated(task: Result, limit: float) -> Result:
    """`one` in a process of its own, killed after `limit` seconds."""
    command = [sys.executable, __file__, "--one", json.dumps(task)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return {"unavailable": f"not done in {limit:g} s"}
    if done.returncode:
        return {"unavailable": (done.stderr.strip().splitlines() or ["killed"])[-1]}
    result: Result = json.loads(done.stdout.splitlines()[-1])
    return result


def tasks(options: argparse.Namespace) -> list[tuple[str, Result]]:
    """Every measurement: its part, and what it is of."""
    base: Result = {"rows": options.rows, "dim": options.dim, "classes": options.classes}
    base |= {"threads": options.threads, "device": options.device, "params": {}, "sampled": None}
    ours = base | {"generator": "diffusion"}
    names = [n for n in options.generators if n not in ("none", "retrieval")]
    few = options.quick
    found: list[tuple[str, Result]] = [
        ("generators", base | {"generator": name, "draws": 1}) for name in ("fresh rows", *names)
    ]
    found += [
        ("generators", base | {"generator": name, "params": REDUCED[name], "draws": 1})
        for name in names
        if name in REDUCED
    ]
    found += [
        ("training", ours | {"params": {"n_steps": n}, "draws": 1})
        for n in ((0, 300, 1200) if few else TRAINING_STEPS)
    ]
    found += [
        ("sampling", ours | {"params": {"sampling_steps": n}, "draws": 2 if few else 5})
        for n in ((8, 16, 50) if few else SAMPLING_STEPS)
    ]
    found += [("scaling", ours | {"rows": n, "sampled": n, "draws": 0}) for n in options.scaling]
    small = ours | {"rows": min(options.rows, 2_000), "sampled": 4_096, "draws": 0}
    found += [
        ("scaling", small | {"params": {"sampling_steps": n, "n_steps": 200}})
        for n in (5, 10, 20, 50)
    ]
    # So few steps that early stopping, which needs five looks, cannot cut them short.
    found += [("scaling", small | {"params": {"n_steps": n}}) for n in (100, 200, 400)]
    return [(part, task) for part, task in found if part in options.parts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--classes", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    # Generators of images have a comparison of their own: bench/image_vs_embedding.py.
    of_embeddings = [name for name in GENERATORS if not GENERATORS[name].needs_images]
    parser.add_argument("--generators", nargs="+", choices=of_embeddings)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--scaling", type=int, nargs="*", help="rows, 1,000 to 1,000,000")
    parser.add_argument("--limit", type=float, default=3600, help="seconds a measurement")
    parser.add_argument("--quick", action="store_true", help="fewer rows and settings")
    parser.add_argument("--fresh", action="store_true", help="measure everything again")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(one(options.one)))
        return
    options.rows = options.rows or (2_000 if options.quick else 18_000)
    options.generators = options.generators or of_embeddings
    if options.scaling is None:
        options.scaling = [1_000, 10_000] if options.quick else [10**k for k in (3, 4, 5, 6)]
    records: list[Result] = []
    if options.out.exists() and not options.fresh:
        records = json.loads(options.out.read_text())["records"]
    for part, task in tasks(options):
        key = {"part": part} | task
        known = [r for r in records if key.items() <= r.items()]
        if any("unavailable" not in r or r["limit"] >= options.limit for r in known):
            continue
        records = [r for r in records if r not in known]
        records.append(key | isolated(task, options.limit) | {"limit": options.limit})
        print(json.dumps(records[-1]), flush=True)
        write_json(options.out, {"records": records})
    print(report(records, options.out))


if __name__ == "__main__":
    main()
