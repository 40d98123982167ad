"""The share of a sweep's time that the tracker takes; part of `bench/tracking.py`.

The `classify` stage on drawn cells with the demo's parameters (colour histograms in place of the
network, nothing tuned), with its runs told and untold.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

from bloomdiff.data.phantom import write_phantom
from bloomdiff.params import load_params
from bloomdiff.stages import run_stage
from bloomdiff.stages.children import log_sweep

ROOT = Path(__file__).parents[1]
BEFORE = ("prepare", "embed", "tune_generator", "fit_generator", "synthesize", "tune_classifier")


def swept_project(root: Path) -> None:
    """A project on drawn cells, up to the sweep."""
    params = yaml.safe_load((ROOT / "params.demo.yaml").read_text())
    params["encoder"], params["embed"]["image_size"] = "colour-histogram", None
    params["tune_generator"]["enabled"] = params["tune_classifier"]["enabled"] = False
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    loaded = load_params(root / "params.yaml")
    write_phantom(root / "data", loaded.phantom, seed=loaded.seed, jobs=loaded.jobs)
    for stage in BEFORE:
        run_stage(stage, root)


def timed_sweep(root: Path, *, told: bool) -> tuple[float, float, int]:
    """Seconds of the stage, seconds of telling its runs, and how many runs it has."""
    within: list[float] = []
    runs: list[int] = []

    def tell(run: Any, tables: Any, *others: Any) -> None:
        begun = time.perf_counter()
        if told:
            log_sweep(run, tables, *others)
        within.append(time.perf_counter() - begun)
        runs.append(tables["scores"].groupby(["fold", "generator", "ratio", "seed"]).ngroups)

    begun = time.perf_counter()
    with patch("bloomdiff.stages.classify.log_sweep", tell):
        run_stage("classify", root)
    return time.perf_counter() - begun, within[0], runs[0]


def sweep_share() -> dict[str, float]:
    """One sweep untold and one told, and what telling took of the second."""
    with tempfile.TemporaryDirectory() as folder:
        swept_project(Path(folder))
        untold, _, _ = timed_sweep(Path(folder), told=False)
        whole, within, runs = timed_sweep(Path(folder), told=True)
    return {
        "runs": runs,
        "seconds_untold": round(untold, 1),
        "seconds_told": round(whole, 1),
        "seconds_in_the_tracker": round(within, 2),
        "share_of_the_tracker": round(within / whole, 3),
    }
