"""How long do the metrics take, and do they give prdc's numbers?

    python bench/metrics.py

Writes bench/results/metrics.json and .md. Each measurement runs in a process of its own, so that
its peak memory is its own. The points are a long-tailed mixture of skewed clouds in 384 dimensions:
as many synthetic, training and held-out rows as asked for.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bloomdiff.files import atomic_file, write_json

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"
DIM = 384
Points = npt.NDArray[np.float32]
Result = dict[str, Any]


def clouds(n: int, seed: int) -> tuple[Points, npt.NDArray[np.str_]]:
    """Float32 `(n, 384)` of eight classes, heavy-tailed and of unequal spread, and their names."""
    world, rng = np.random.default_rng(0), np.random.default_rng([1, seed])
    centres = world.normal(size=(8, DIM)) * 0.5
    mix = world.normal(size=(DIM, DIM)) / DIM**0.5 * np.linspace(0.1, 2, DIM)
    shares = 0.5 ** np.arange(8.0)
    y = rng.choice(8, size=n, p=shares / shares.sum())
    X = rng.standard_t(6, size=(n, DIM)) @ mix + centres[y]
    return X.astype(np.float32), np.array([f"class{i}" for i in range(8)])[y]


def measure(what: str, n: int) -> Result:
    """Run one measurement in this process."""
    (synthetic, y), (train, y_train), (test, y_test) = (clouds(n, seed) for seed in range(3))
    start, processor = time.perf_counter(), time.process_time()
    values: dict[str, float | None]
    if what == "prdc":
        from prdc import compute_prdc  # type: ignore[import-untyped]

        with contextlib.redirect_stdout(io.StringIO()):
            found = compute_prdc(test, synthetic, nearest_k=5)
        values = {name: float(value) for name, value in found.items()}
    elif what == "bloomdiff-prdc":
        from bloomdiff.metrics.manifold import precision_recall_density_coverage

        values = dict(precision_recall_density_coverage(test, synthetic))
    else:
        from bloomdiff.metrics.evaluation import evaluate_synthetic

        records = evaluate_synthetic(
            synthetic,
            train,
            test,
            seed=0,
            y_synthetic=y if what == "all-classes" else None,
            y_train=y_train if what == "all-classes" else None,
            y_test=y_test if what == "all-classes" else None,
        )
        values = {r["metric"]: r["value"] for r in records if r["scope"] == "all"}
    return {
        "what": what,
        "rows": n,
        "seconds": time.perf_counter() - start,
        "processor_seconds": time.process_time() - processor,
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "values": values,
    }


def in_process(what: str, n: int) -> Result:
    """`measure` in a process of its own, with the machine's load before it started."""
    load = os.getloadavg()[0]
    command = [sys.executable, __file__, "--measure", what, "--rows", str(n)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tail = done.stderr.strip().splitlines()[-1:] or [f"ended by signal {-done.returncode}"]
        return {"what": what, "rows": n, "load_before": load, "failed": tail[0]}
    result: Result = json.loads(done.stdout)
    return result | {"load_before": load}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[5000, 20000])
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.rows[0])))
        return
    results = []
    for n in options.rows:
        for what in ("bloomdiff-prdc", "prdc", "all", "all-classes"):
            results.append(in_process(what, n))
            print(line(results[-1]), file=sys.stderr)
    threads = os.environ.get("OMP_NUM_THREADS", "as many as cores")
    summary = {"cores": os.cpu_count(), "threads": threads, "runs": results}
    write_json(RESULTS / "metrics.json", summary)
    with atomic_file(RESULTS / "metrics.md") as temporary:
        temporary.write_text(report(results), encoding="utf-8")
    print(report(results))


TITLES = {
    "prdc": "prdc 0.2: precision, recall, density, coverage",
    "bloomdiff-prdc": "BloomDiff: the same four",
    "all": "BloomDiff: every metric, 200 resamples",
    "all-classes": "BloomDiff: every metric, over all rows and in each class",
}


def line(run: Result) -> str:
    load = f"{run['load_before']:.1f}"
    if "failed" in run:
        return f"| {TITLES[run['what']]} | {run['rows']} | {run['failed']} | | | {load} |"
    return (
        f"| {TITLES[run['what']]} | {run['rows']} | {run['seconds']:.1f} | "
        f"{run['processor_seconds']:.1f} | {run['peak_gib']:.2f} | {load} |"
    )


def report(runs: list[Result]) -> str:
    lines = [
        "# Speed of the metrics",
        "",
        f"{DIM} dimensions, as many synthetic, training and held-out rows; {os.cpu_count()} cores,",
        f"threads of the linear algebra: {os.environ.get('OMP_NUM_THREADS', 'as many as cores')};",
        "`python bench/metrics.py`. Load: of the whole machine just before the run; above the",
        "number of cores the seconds are too long, and the processor's too: threads wait busily.",
        "",
        "| what | rows | seconds | of the processor | peak GiB | load before |",
        "|---|---|---|---|---|---|",
        *(line(run) for run in runs),
        "",
    ]
    by_key = {(run["what"], run["rows"]): run for run in runs if "failed" not in run}
    for (what, n), peer in by_key.items():
        ours = by_key.get(("bloomdiff-prdc", n))
        if what != "prdc" or ours is None:
            continue
        apart = max(
            abs(ours["values"][name] - value) / abs(value) for name, value in peer["values"].items()
        )
        seconds, processor, memory = (
            peer[key] / ours[key] for key in ("seconds", "processor_seconds", "peak_gib")
        )
        lines.append(
            f"- {n} rows: prdc takes {seconds:.1f} times the seconds, {processor:.1f} times the "
            f"processor's and {memory:.1f} times the memory; the largest relative difference of "
            f"the four numbers is {apart:.1e}."
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
