"""What a stage loads before its work begins: the libraries that take seconds are not among it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from bloomdiff.cli.stage import STAGES

HEAVY = {
    *("torch", "torchvision", "timm", "sklearn", "imblearn", "optuna", "matplotlib", "plotly"),
    *("cv2", "openTSNE", "anndata", "h5py", "onnx", "pandera", "ray", "diffusers", "transformers"),
    *("mlflow.pyfunc", "mlflow.server"),
}
# Runs every stage up to its work, and tells what that had loaded by then.
START = """
import gc, importlib, json, sys
from bloomdiff.stages import run_stage

told = {}
for stage in sys.argv[2:]:
    module = importlib.import_module(f"bloomdiff.stages.{stage}")
    module.run = lambda project, run: told.update({stage: sorted(sys.modules)})
    if stage == "report":
        importlib.import_module("bloomdiff.stages.history").complete_history = lambda project: None
    run_stage(stage, sys.argv[1])
print(json.dumps({"stages": told, "frozen": gc.get_freeze_count(), "gc": gc.isenabled()}))
"""


def test_no_stage_loads_heavy_libraries_before_its_work(project):
    shutil.copy(Path(__file__).parents[2] / "dvc.yaml", project.root)
    command = [sys.executable, "-c", START, str(project.root), *STAGES]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert list(told["stages"]) == list(STAGES)
    for stage, modules in told["stages"].items():
        assert "mlflow" in modules  # else the start was not reached
        assert not HEAVY & set(modules), f"{stage} loads them before its work"
    # What the tracker's import left behind is kept from the collector, which goes on with the rest.
    assert told["frozen"] > 100_000
    assert told["gc"]
