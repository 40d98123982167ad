"""Checkpoints are named after all they depend on and come back whole; bars tell the truth."""

import hashlib

import numpy as np
import pytest
import torch

from bloomdiff.resumable import checkpoint_path, progress_bar, read_checkpoint, write_checkpoint


def test_a_checkpoint_is_named_after_everything_told(tmp_path):
    X = np.arange(6, dtype=np.float32).reshape(2, 3)
    path = checkpoint_path(tmp_path, "diffusion", "params", X)
    digest = hashlib.sha256(b"params" + X.tobytes()).hexdigest()
    assert path == tmp_path / f"diffusion-{digest[:16]}.safetensors"
    assert path == checkpoint_path(tmp_path, "diffusion", "params", np.asfortranarray(X))
    others = {
        checkpoint_path(tmp_path, "diffusion", "other", X),
        checkpoint_path(tmp_path, "diffusion", "params", X + 1),
        checkpoint_path(tmp_path, "diffusion", "params", X, X),
        checkpoint_path(tmp_path, "lora", "params", X),
    }
    assert len(others | {path}) == 5
    assert path == checkpoint_path(tmp_path, "diffusion", "params", X, X[:0])


def test_without_a_folder_there_is_no_checkpoint():
    assert checkpoint_path(None, "diffusion", "params") is None
    assert read_checkpoint(None) is None


def test_what_was_written_is_read_and_a_failed_write_leaves_the_last(tmp_path):
    path = tmp_path / "new" / "a.safetensors"
    assert read_checkpoint(path) is None
    state = {"rng": torch.Generator().get_state(), "loss": torch.tensor(0.5, dtype=torch.float64)}
    write_checkpoint(path, state)
    back = read_checkpoint(path)
    assert back is not None
    assert back.keys() == state.keys()
    assert all(torch.equal(back[k], state[k]) for k in state)
    shared = torch.zeros(3)
    with pytest.raises(RuntimeError, match="share memory"):
        write_checkpoint(path, {"a": shared, "b": shared})
    assert [p.name for p in path.parent.iterdir()] == ["a.safetensors"]
    assert read_checkpoint(path).keys() == state.keys()


def test_a_bar_shows_steps_and_loss_on_stderr_alone(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr("tqdm.std.tqdm.monitor_interval", 0)
    with progress_bar("diffusion", 40, done=10) as progress:
        progress(20, 0.123456)
    out, err = capsys.readouterr()
    assert out == ""
    assert "diffusion" in err
    assert "20/40" in err
    assert "loss=0.1235" in err
