"""A small project of DVC's, whose stages tell a store."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

STAGE = """
import sys
from pathlib import Path
from bloomdiff.experiments.tracking import pipeline_run

name, out = sys.argv[1:]
with pipeline_run(Path.cwd(), stage=name, experiment="test"):
    Path(out).mkdir()
    for k in range(3):
        Path(out, f"{k}.txt").write_text(name + Path("params.yaml").read_text() + str(k))
"""
DVC_YAML = f"""
stages:
  embed:
    cmd: {sys.executable} stage.py embed embeddings
    deps: [data]
    params: [encoder]
    outs: [embeddings]
  classify:
    cmd: {sys.executable} stage.py classify scores
    deps: [embeddings]
    params: [sweep]
    outs: [scores]
"""


SCRIPTS = Path(sys.executable).parent
# DVC finds the worker of its queue by the search path.
ENVIRONMENT = {
    "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
    "DVC_NO_ANALYTICS": "1",
    "OMP_NUM_THREADS": "1",
}


def dvc(root, *arguments, check=True):
    done = subprocess.run(
        [str(SCRIPTS / "dvc"), *arguments],
        cwd=root,
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
    )
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def make(root, template):
    """Two stages that ran; `template` is an empty store."""
    (root / "data").mkdir(parents=True)
    (root / "data" / "a.txt").write_text("a")
    (root / "stage.py").write_text(STAGE)
    (root / "dvc.yaml").write_text(DVC_YAML)
    (root / "params.yaml").write_text("encoder: x\nsweep: {ratios: [0, inf]}\n")
    (root / ".dvcignore").write_text("/mlruns\n")
    (root / "mlruns").mkdir()
    shutil.copy(template, root / "mlruns" / "mlflow.db")
    dvc(root, "init", "--no-scm", "-q")
    dvc(root, "add", "-q", "data")
    dvc(root, "repro", "-q")
