"""Diffusing images or diffusing their embeddings: what each brings and costs, at equal real cells.

    python bench/image_vs_embedding.py --cells CELLS --quick   # twenty minutes, two cores
    python bench/image_vs_embedding.py --cells CELLS           # many hours
    python bench/image_vs_embedding.py --cells CELLS --weights FOLDER   # Stable Diffusion
    python bench/image_vs_embedding.py --summary                        # the table again

A unit is a data set, a regime (how many labelled cells) and a seed, which divides the cells into
labelled and test ones. The classifier, a class-weighted logistic regression, is tuned on the
labelled cells alone and then learns from them together with the rows of each method in turn; it is
always tested on real cells. Each method runs in a process of its own, one after the other, so that
its seconds and its memory are its own. What is scored is kept, and an interrupted run taken up.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from augmenters_data import Parts, Regime, divide, encoder, load, manifest
from augmenters_methods import PLAIN
from bloomdiff.classifiers import make_classifier
from bloomdiff.data.embedding_set import EmbeddingSet, SyntheticSet
from bloomdiff.data.folds import inner_folds
from bloomdiff.files import atomic_file
from bloomdiff.generators import GENERATORS, make_generator
from bloomdiff.generators.cell_images import CellImages, check_encoder
from bloomdiff.metrics.classification import score_classification
from image_vs_embedding_tables import REAL, summarise

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results" / "image_vs_embedding"
KEY = ["data", "regime", "seed", "method"]
REGIMES = {regime.name: regime for regime in (Regime("10-shot", 10), Regime("all cells", None))}
DATA = ("phantom", "blood-13")
FEW, MANY = 30, 300  # synthetic rows a class; images are too dear for the second
THROUGH = 100  # cells looked at through the image diffusion's pixels
POWERCAP = Path("/sys/class/powercap")
WRAPS = 600  # seconds; a package's counter begins anew after 2**18 joules or so


@dataclass(frozen=True)
class Method:
    """A generator with its hyper-parameters, and how many rows a class are drawn."""

    generator: str
    params: dict[str, Any] = field(default_factory=dict)
    rows: tuple[int, ...] = (FEW,)


def methods(options: argparse.Namespace) -> dict[str, Method]:
    """What is compared, by the name that the table gives it."""
    size, steps, weights = options.size, options.steps, options.weights
    small = {"image_size": size, "widths": [32, 64, 96], "learning_rate": 2e-3}
    small |= {"n_steps": steps, "batch_size": 8 if size < 64 else 32}
    found = {
        REAL: Method("none", rows=(0,)),
        "diffusion": Method("diffusion", rows=(FEW, MANY)),
        f"image-diffusion, {size} pixels, {steps} steps": Method("image-diffusion", small),
    }
    if weights is not None:
        found["stable-diffusion-lora"] = Method("stable-diffusion-lora", {"weights": weights})
    return found


# --------------------------------------------------------------------------- one method, one unit
def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Scores and costs of one method on one unit, in this process."""
    data, regime, seed, name = options.one[0], options.one[1], int(options.one[2]), options.one[3]
    method = methods(options)[name]
    cells = load(data, options.build, options.cells)
    parts = divide(cells, REGIMES[regime], seed)
    C = tuned(parts.labelled, seed)
    told: dict[str, Any] = {"data": data, "regime": regime, "seed": seed, "method": name, "C": C}
    told |= {"n_labelled": len(parts.labelled), "n_test": len(parts.test)}
    synthetic = None
    if method.generator != "none":
        images = None
        if GENERATORS[method.generator].needs_images:
            images = pictures(data, cells, options)
        synthetic, costs = drawn(method, parts, images, seed)
        told |= costs
    return [
        {**told, "rows": rows, **score(parts, synthetic, rows, C, seed)} for rows in method.rows
    ]


def pictures(data: str, cells: EmbeddingSet, options: argparse.Namespace) -> CellImages:
    """The images of a set, in whose manifest cells have the groups that they were embedded with."""
    table, folder = manifest(data, options.build, options.cells)
    used = encoder(options.build)
    check_encoder(used, cells.header, f"{options.build / data / 'cells.parquet'}")
    return CellImages(table, folder, used)


def tuned(labelled: EmbeddingSet, seed: int) -> float:
    """The C of the best macro-F1 on the inner folds of real cells."""
    means = np.zeros(len(PLAIN["logistic"]))
    for fit, held in inner_folds(labelled, 2, seed):
        inner, validation = labelled.take(fit), labelled.take(held)
        for i, values in enumerate(PLAIN["logistic"]):
            means[i] += evaluated(inner, None, validation, values["C"], seed)["macro_f1"]
    return float(PLAIN["logistic"][int(means.argmax())]["C"])


def drawn(
    method: Method, parts: Parts, images: CellImages | None, seed: int
) -> tuple[SyntheticSet, dict[str, Any]]:
    """Rows of a generator that saw the labelled cells alone, and what they cost."""
    labelled = parts.labelled
    generator = make_generator(method.generator, method.params, seed=seed, images=images)
    energy, begun, worked = joules(), time.perf_counter(), time.process_time()
    generator.fit(
        labelled.X, labelled.label, fingerprint=labelled.fingerprint, cell_id=labelled.cell_id
    )
    fitted, after, fit_worked = time.perf_counter(), joules(), time.process_time()
    asked = np.repeat(np.unique(labelled.label), max(method.rows))
    synthetic = generator.synthesize(asked, seed=seed)
    costs = {
        "fit_seconds": fitted - begun,
        "rows_per_second": len(asked) / (time.perf_counter() - fitted),
        # Of all threads: what else the machine does matters less to it.
        "fit_processor_seconds": fit_worked - worked,
        "rows_per_processor_second": len(asked) / (time.process_time() - fit_worked),
        "fit_joules": used(energy, after, fitted - begun),
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }
    if images is not None:
        size = getattr(generator.params, "image_size")  # noqa: B009
        some = np.random.default_rng(seed).permutation(len(labelled))[:THROUGH]
        squares = images.squares(labelled.cell_id[some], size, fingerprint=labelled.fingerprint)
        costs["cosine_through_pixels"] = float(cosine(images.embed(squares), labelled.X[some]))
    return synthetic, costs


def cosine(a: Any, b: Any) -> float:
    """Mean cosine of rows."""
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(axis=1) / norms).mean())


def score(
    parts: Parts, synthetic: SyntheticSet | None, rows: int, C: float, seed: int
) -> dict[str, float]:
    """Scores on the test cells, with the first `rows` rows of each class."""
    extra = None
    if synthetic is not None:
        first = [np.flatnonzero(synthetic.label == c)[:rows] for c in np.unique(synthetic.label)]
        extra = synthetic.take(np.concatenate(first))
    return evaluated(parts.labelled, extra, parts.test, C, seed)


def evaluated(
    real: EmbeddingSet, extra: SyntheticSet | None, test: EmbeddingSet, C: float, seed: int
) -> dict[str, float]:
    classes = np.unique(np.concatenate([real.label, test.label])).tolist()
    model = make_classifier("logistic", {"C": C, "balance": "class-weights"}, seed=seed)
    model.fit(real.X, real.label, fingerprint=real.fingerprint, synthetic=extra, classes=classes)
    found = score_classification(test.label, model.predict_on(test), classes)
    return {name: found[name] for name in ("macro_f1", "balanced_accuracy")}


def joules() -> float | None:
    """Energy that the processor's packages have used so far, by RAPL; None where it is hidden."""
    counters = sorted(POWERCAP.glob("intel-rapl:?/energy_uj"))
    try:
        return sum(int(path.read_text()) for path in counters) / 1e6 if counters else None
    except OSError:
        return None


def used(before: float | None, after: float | None, seconds: float) -> float:
    """Joules between two readings; NaN where there are none or the counter may have begun anew."""
    if before is None or after is None or after < before or seconds > WRAPS:
        return float("nan")
    return after - before


# -------------------------------------------------------------------------------------- all units
def todo(options: argparse.Namespace, done: pd.DataFrame) -> Iterator[tuple[str, str, int, str]]:
    """What is not scored yet, the seeds outermost: whenever it stops, all are as far."""
    found = set(map(tuple, done[KEY].to_numpy())) if len(done) else set()
    for seed in range(options.seeds):
        for data in options.data:
            for regime in REGIMES:
                for name in methods(options):
                    if (data, regime, seed, name) not in found:
                        yield data, regime, seed, name


def run_all(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    path = options.results / "scores.parquet"
    scores = pd.read_parquet(path) if path.exists() else pd.DataFrame()
    for data in options.data:
        load(data, options.build, options.cells)
    units = list(todo(options, scores))
    passed = ["--build", options.build, "--size", options.size, "--steps", options.steps]
    for name in ("cells", "weights"):
        passed += [f"--{name}", getattr(options, name)] if getattr(options, name) else []
    for unit in tqdm(units, unit="method"):
        command = [sys.executable, __file__, *passed, "--one", *unit]
        done = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE)
        rows = pd.DataFrame(json.loads(done.stdout.splitlines()[-1]))
        scores = pd.concat([scores, rows], ignore_index=True).sort_values(
            [*KEY, "rows"], ignore_index=True
        )
        with atomic_file(path) as temporary:
            scores.to_parquet(temporary, index=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cells", type=Path, help="folder of the real cells; the phantom if none")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "augmenters")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--data", nargs="+", choices=DATA)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--size", type=int, default=64, help="side of its images, pixels")
    parser.add_argument("--steps", type=int, default=3000, help="of the image diffusion's training")
    parser.add_argument("--weights", help="Stable Diffusion's, a folder in diffusers' layout")
    parser.add_argument("--quick", action="store_true", help="three seeds, 32 pixels, 700 steps")
    parser.add_argument("--summary", action="store_true", help="only the table")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.size, options.steps = 3, 32, 700
    options.data = options.data or (DATA if options.cells else DATA[:1])
    if options.one:
        print(json.dumps(measure(options)))
        return
    if not options.summary:
        run_all(options)
    print(summarise(options.results))


if __name__ == "__main__":
    main()
