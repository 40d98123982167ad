"""What it costs to tell MLflow about a sweep, beside MLflow's own fluent calls; and other overhead.

    python bench/tracking.py [--project FOLDER]

Writes bench/results/tracking.json: milliseconds per child run (4 identifying and 8 other params,
48 metrics, 2 tables as artefacts), each way in a store of its own, the two taking turns; and
milliseconds per trial of a study, alone, as a run, and what the run adds. The time of the processor
is told beside the wall's, since the wall's suffers from whatever else runs. Then the share of a
sweep's time that the tracker takes, see `tracking_sweep.py`.

With a project whose `dvc repro` is done: seconds of a `dvc repro` that runs nothing, of importing
the command line, and of stages that do nothing between opening their run and closing it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bloomdiff.experiments.studies import run_study
from bloomdiff.experiments.tracking import ChildRun, pipeline_run
from bloomdiff.experiments.trial_runs import TrialRuns
from bloomdiff.files import write_json
from tracking_sweep import sweep_share

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
        result = watch.read(n)
    os.environ.pop("MLFLOW_TRACKING_URI", None)  # left by `set_tracking_uri`, and not for others
    return result


def trials(root: Path, n: int, *, told: bool) -> tuple[float, float]:
    """Time per trial of a study whose objective costs nothing, each trial a run where `told`."""
    with pipeline_run(root, stage="tune_generator", experiment="bench") as run:

        def bring_to(finished: int) -> None:
            run_study(
                f"told {told} {run.run_id}",
                lambda trial: trial.suggest_float("x", 0, 1),
                storage=root / "mlruns" / "optuna.db",
                n_trials=finished,
                seed=0,
                directions={"macro_f1": "maximize"},
                fingerprint="bench",
                log=TrialRuns(run, {"fold": "r0f0"}) if told else None,
            )

        bring_to(1)  # makes the storage and the study
        watch = Stopwatch()
        bring_to(n + 1)
        return watch.read(n)


START = """
import importlib, sys
from bloomdiff.stages import run_stage
module = importlib.import_module(f"bloomdiff.stages.{sys.argv[1]}")
module.run = lambda project, run: None
run_stage(*sys.argv[1:])
"""


def seconds(*command: str, cwd: Path | None = None) -> dict[str, float]:
    """Wall and processor time of a command, each the least of three."""
    walls, busy = [], []
    for _ in range(3):
        begun, before = time.perf_counter(), os.times()
        done = subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True)
        after = os.times()
        walls.append(time.perf_counter() - begun)
        busy.append(
            after.children_user
            + after.children_system
            - before.children_user
            - before.children_system
        )
        if "Running stage" in done.stdout:
            raise SystemExit("the project was not up to date: run `dvc repro` there first")
    return {"wall": round(min(walls), 2), "processor": round(min(busy), 2)}


def overheads(project: Path) -> dict[str, Any]:
    """Seconds of what is done before any work, in a copy of the project's store."""
    python = sys.executable
    dvc = str(Path(python).parent / "dvc")
    found: dict[str, Any] = {
        "dvc repro, nothing to do": seconds(dvc, "repro", cwd=project),
        "import bloomdiff.cli": seconds(python, "-c", "import bloomdiff.cli"),
        "python alone": seconds(python, "-c", "pass"),
    }
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        (copy / "mlruns").mkdir()
        shutil.copy(project / "mlruns" / "mlflow.db", copy / "mlruns")
        for name in ("params.yaml", "dvc.yaml"):
            shutil.copy(ROOT / name, copy)
        for stage in ("prepare", "tune_generator", "classify"):
            found[f"{stage}, nothing to do"] = seconds(python, "-c", START, stage, folder)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100, help="child runs in a turn")
    parser.add_argument("--turns", type=int, default=3, help="turns of each way; medians are told")
    parser.add_argument("--project", type=Path, help="a project whose pipeline has run")
    arguments = parser.parse_args()
    ways = ("bloomdiff", "mlflow_fluent", "trial", "trial_as_run")
    measured: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        for _ in range(arguments.turns):
            measured["bloomdiff"].append(ours(Path(one), arguments.runs))
            measured["mlflow_fluent"].append(fluent(Path(other), arguments.runs))
            for way, told in (("trial", False), ("trial_as_run", True)):
                measured[way].append(trials(Path(one), arguments.runs // 2, told=told))
    measured["run_of_a_trial"] = [
        (told[0] - alone[0], told[1] - alone[1])
        for alone, told in zip(measured["trial"], measured["trial_as_run"], strict=True)
    ]
    result: dict[str, Any] = {
        "runs_a_turn": arguments.runs,
        "milliseconds_per_run": {
            name: {
                "wall": round(statistics.median(wall for wall, _ in turns), 1),
                "processor": round(statistics.median(busy for _, busy in turns), 1),
            }
            for name, turns in measured.items()
        },
        "sweep": sweep_share(),
        "load_average_at_end": round(os.getloadavg()[0], 1),
        "cores": os.cpu_count(),
    }
    if arguments.project is not None:
        result["seconds"] = overheads(arguments.project.resolve())
    write_json(ROOT / "bench" / "results" / "tracking.json", result)
    print(result)


if __name__ == "__main__":
    main()
