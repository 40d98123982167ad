"""What it costs to tell MLflow about a sweep, beside MLflow's own fluent calls.

    python bench/tracking.py

Writes bench/results/tracking.json: milliseconds per child run (4 identifying and 8 other params,
48 metrics, 2 tables as artefacts), each way in a store of its own, the two taking turns. The time
of the processor is told beside the wall's, since the wall's suffers from whatever else runs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bloomdiff.experiments.tracking import ChildRun, pipeline_run
from bloomdiff.files import write_json

ROOT = Path(__file__).parents[1]
TABLE = "class,precision,recall,f1\n" + "lymphocyte,0.5,0.5,0.5\n" * 12


def children(n: int) -> list[ChildRun]:
    return [
        ChildRun(
            f"diffusion ratio 2 fold-0 seed {seed}",
            {"fold": "fold-0", "generator": "diffusion", "ratio": "2", "seed": seed}
            | {f"setting_{k}": k for k in range(8)},
            {f"metric_{k}": seed / (k + 1) for k in range(48)},
            {"fold": "fold-0"},
            {"per_class.csv": TABLE, "confusion.csv": TABLE},
        )
        for seed in range(n)
    ]


class Stopwatch:
    """Milliseconds per run since it was made: wall clock and processor."""

    def __init__(self) -> None:
        self._wall, self._processor = time.perf_counter(), time.process_time()

    def read(self, n: int) -> tuple[float, float]:
        wall, processor = time.perf_counter() - self._wall, time.process_time() - self._processor
        return 1000 * wall / n, 1000 * processor / n


def ours(root: Path, n: int) -> tuple[float, float]:
    """Time per run of `log_children`."""
    with pipeline_run(root, stage="classify", experiment="bench") as run:
        watch = Stopwatch()
        run.log_children(children(n))
        return watch.read(n)


def fluent(root: Path, n: int) -> tuple[float, float]:
    """Time per run of nested `mlflow.start_run` with `log_params`, `log_metrics`, files."""
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{root}/mlflow.db")
    if mlflow.get_experiment_by_name("bench") is None:
        mlflow.create_experiment("bench", artifact_location=(root / "artifacts").as_uri())
    mlflow.set_experiment("bench")
    with mlflow.start_run(run_name="pipeline"):
        watch = Stopwatch()
        for child in children(n):
            with mlflow.start_run(run_name=child.name, nested=True):
                mlflow.set_tags(dict(child.tags))
                mlflow.log_params(dict(child.params))
                mlflow.log_metrics(dict(child.metrics))
                for path, content in child.artifacts.items():
                    mlflow.log_text(str(content), path)
        return watch.read(n)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100, help="child runs in a turn")
    parser.add_argument("--turns", type=int, default=3, help="turns of each way; medians are told")
    arguments = parser.parse_args()
    measured: dict[str, list[tuple[float, float]]] = {"bloomdiff": [], "mlflow_fluent": []}
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        for _ in range(arguments.turns):
            measured["bloomdiff"].append(ours(Path(one), arguments.runs))
            measured["mlflow_fluent"].append(fluent(Path(other), arguments.runs))
    result: dict[str, Any] = {
        "runs_a_turn": arguments.runs,
        "milliseconds_per_run": {
            name: {
                "wall": round(statistics.median(wall for wall, _ in turns), 1),
                "processor": round(statistics.median(busy for _, busy in turns), 1),
            }
            for name, turns in measured.items()
        },
        "load_average_at_end": round(os.getloadavg()[0], 1),
        "cores": os.cpu_count(),
    }
    write_json(ROOT / "bench" / "results" / "tracking.json", result)
    print(result)


if __name__ == "__main__":
    main()
