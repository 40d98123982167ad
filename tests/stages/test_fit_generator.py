"""A fit that is killed goes on where it was, and ends in the same bytes."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

import bloomdiff.generators.diffusion as diffusion
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.stages import fit_generator
from bloomdiff.stages.inputs import FoldRows

KILLED = """
import os, signal
from pathlib import Path
import bloomdiff.generators.diffusion as diffusion
import test_fit_generator as this

write = diffusion.write_checkpoint
def write_and_die(path, state):
    write(path, state)
    if int(state["counters"][0]) == 100:
        os.kill(os.getpid(), signal.SIGKILL)
diffusion.write_checkpoint = write_and_die
this.fit(Path({checkpoints!r}), Path({folder!r}))
"""


def fit(checkpoints, folder):
    """One fold of half rings, on which training goes to its last step."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    angle = rng.uniform(0, np.pi, len(y))
    X = np.stack([3 * np.cos(angle), np.where(y == 0, 3, -3) * np.sin(angle)], axis=1)
    cells = pd.DataFrame({"cell_id": np.arange(300).astype(str), "group": "slide"})
    cells["label"] = np.asarray(["up", "down"])[y]
    train = EmbeddingSet(X.astype(np.float32), cells)
    rows = FoldRows("fold", train, test=train.take([]), pool=train.take([]))
    project = SimpleNamespace(
        params=SimpleNamespace(seed=0, device="cpu"), generator_params=Path("unused")
    )
    fit_generator.load_fold = lambda project, fold: rows
    fit_generator.tuned_values = lambda *_: {"n_steps": 300, "width": 32, "batch_size": 64}
    folder.mkdir()
    fit_generator.fit_one(project, checkpoints, folder, "fold", "diffusion")


def test_a_killed_fit_goes_on_where_it_was(tmp_path, monkeypatch):
    for name in ("load_fold", "tuned_values"):
        monkeypatch.setattr(fit_generator, name, None)  # put back afterwards what `fit` sets
    code = KILLED.format(checkpoints=str(tmp_path / "kept"), folder=str(tmp_path / "killed"))
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert run.returncode == -signal.SIGKILL
    assert len(list((tmp_path / "kept").iterdir())) == 1

    steps, write = [], diffusion.write_checkpoint

    def spy(path, state):
        steps.append(int(state["counters"][0]))
        write(path, state)

    monkeypatch.setattr(diffusion, "write_checkpoint", spy)
    fit(tmp_path / "kept", tmp_path / "again")
    assert steps[0] == 200
    assert list((tmp_path / "kept").iterdir()) == []
    fit(tmp_path / "fresh", tmp_path / "straight")
    for file in ("state.safetensors", "generator.json"):
        again, straight = (tmp_path / run / "generator" / file for run in ("again", "straight"))
        assert again.read_bytes() == straight.read_bytes()
