"""What the contract suite does not ask: checkpoints, pairs, the pool, fidelity."""

from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file

import bloomdiff.generators.diffusion as module
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.generators import make_generator

FINGERPRINT = Fingerprint.of(["slide"])
PARAMS = {"n_steps": 300, "width": 32, "n_components": 2, "batch_size": 64}


def crescents(n, seed, d=4):
    """Two classes on crescents: anything but Gaussian."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    angle = rng.uniform(0, np.pi, n)
    X = rng.normal(0, 0.15, (n, d))
    X[:, 0] += 3 * np.cos(angle)
    X[:, 1] += np.where(y == 0, 3, -3) * np.sin(angle)
    return X.astype(np.float32), np.asarray(["up", "down"])[y]


def generator(seed=0, **params):
    return make_generator("diffusion", {**PARAMS, **params}, seed=seed)


class KilledError(Exception):
    pass


@pytest.mark.parametrize("mode", [nullcontext, torch.inference_mode])
def test_killed_and_run_again_it_ends_in_the_same_bytes(tmp_path, monkeypatch, mode):
    X, y = crescents(300, 0)
    straight = generator().fit(X, y, fingerprint=FINGERPRINT)
    write = module.write_checkpoint

    def write_once(path, state):
        write(path, state)
        raise KilledError

    monkeypatch.setattr(module, "write_checkpoint", write_once)
    killed = generator()
    killed.checkpoint_dir = tmp_path
    with pytest.raises(KilledError):
        killed.fit(X, y, fingerprint=FINGERPRINT)
    (checkpoint,) = tmp_path.iterdir()
    assert load_file(checkpoint)["counters"][0] == 100
    monkeypatch.setattr(module, "write_checkpoint", write)
    again = generator()
    again.checkpoint_dir = tmp_path
    steps = []
    monkeypatch.setattr(
        module, "write_checkpoint", lambda path, state: steps.append(state["counters"][0])
    )
    with mode():
        again.fit(X, y, fingerprint=FINGERPRINT)
    assert steps[0] == 200  # it went on where the other was killed
    assert list(tmp_path.iterdir()) == []
    straight.save(tmp_path / "straight")
    again.save(tmp_path / "again")
    for file in ("state.safetensors", "generator.json"):
        assert (tmp_path / "straight" / file).read_bytes() == (
            tmp_path / "again" / file
        ).read_bytes()


def test_a_checkpoint_of_other_rows_parameters_or_seed_is_not_taken_up(tmp_path):
    X, y = crescents(60, 0)
    index = (y == "up").astype(np.intp)

    def path(generator, X=X, pool=None):
        generator.checkpoint_dir = tmp_path
        return generator._checkpoint_path(X, index, pool)

    paths = {
        path(generator()),
        path(generator(seed=1)),
        path(generator(n_steps=301)),
        path(generator(), X=X + 1),
        path(generator(), pool=X[:5]),
    }
    assert len(paths) == 5
    assert path(generator()) in paths


def test_the_network_learns_what_a_gaussian_cannot_say():
    """Rows on a crescent leave its inside empty."""
    X, y = crescents(1500, 0)

    def inside(n_steps):
        g = generator(n_steps=n_steps, batch_size=256).fit(X, y, fingerprint=FINGERPRINT)
        rows = g.sample(np.repeat("up", 1000), seed=0)
        return (np.hypot(rows[:, 0], rows[:, 1]) < 2).mean()

    assert inside(n_steps=800) < inside(n_steps=0) / 2


def test_every_eight_rows_average_to_the_centre():
    """Without the network, exactly; independent rows would not come near."""
    X, y = crescents(300, 0)
    g = generator(n_steps=0).fit(X, y, fingerprint=FINGERPRINT)
    rows = g.sample(np.repeat("up", 32), seed=0).reshape(4, 8, -1)
    means = rows.mean(axis=1)
    np.testing.assert_allclose(means, np.tile(means[0], (4, 1)), atol=1e-4)
    assert rows[:, :, 0].std() > 1


def test_the_untrained_generator_has_the_moments_of_the_classes():
    X, y = crescents(4000, 0)
    g = generator(n_steps=0).fit(X, y, fingerprint=FINGERPRINT)
    rows = g.sample(np.repeat("down", 6000), seed=0)
    real = X[y == "down"]
    np.testing.assert_allclose(rows.mean(axis=0), real.mean(axis=0), atol=0.05)
    np.testing.assert_allclose(np.cov(rows.T), np.cov(real.T), atol=0.3)


def test_the_pool_moves_the_centre_of_a_rare_class_to_where_its_rows_are():
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b", "rare"], [40, 40, 1])
    centre = {"a": 0.0, "b": 8.0, "rare": -8.0}
    X = rng.normal(size=(81, 6)) + np.asarray([centre[c] for c in y])[:, None]
    X[-1] += 1.5  # the only row lies off the middle of its class
    pool = rng.normal(size=(300, 6)) + np.repeat([0, 8, -8], 100)[:, None]
    X, pool = X.astype(np.float32), pool.astype(np.float32)

    def error(pool):
        g = generator(n_steps=0).fit(X, y, fingerprint=FINGERPRINT, X_unlabelled=pool)
        return np.abs(g.sample(np.repeat("rare", 500), seed=0).mean(axis=0) + 8).max()

    assert error(pool) < 0.5 < error(None)


def test_guidance_is_told():
    assert generator(guidance=1.5).guidance == 1.5


def test_cells_and_a_pool_are_fitted_as_their_rows():
    """An empty pool is none; groups of both are told."""
    X, y = crescents(80, 0)
    rows = pd.DataFrame({"cell_id": [f"c{i}" for i in range(80)], "label": y})
    rows["group"] = np.where(np.arange(80) < 60, "train", "pool")
    cells = EmbeddingSet(X, rows)
    train, pool = cells.take(np.arange(60)), cells.take(np.arange(60, 80))
    for unlabelled, groups in ((pool, ["train", "pool"]), (cells.take([]), ["train"])):
        by_cells = generator(n_steps=100).fit_cells(train, unlabelled)
        assert by_cells.fingerprint == Fingerprint.of(groups)
        by_rows = generator(n_steps=100).fit(
            X[:60],
            y[:60],
            fingerprint=Fingerprint.of(groups),
            X_unlabelled=X[60:] if len(unlabelled) else None,
        )
        state, expected = by_cells._state(), by_rows._state()
        assert all(np.array_equal(state[name], expected[name]) for name in expected)


def test_a_checkpoint_is_of_the_parents_as_well(tmp_path):
    """Which classes are siblings hangs on their names, which the rows do not tell."""
    X, y = crescents(30, 0)
    index = np.unique(y, return_inverse=True)[1]
    paths = []
    for classes in (["basophil", "eosinophil"], ["basophil", "lymphocyte"]):
        model = generator(parents="lineage")
        model.classes_ = np.asarray(classes)
        model.checkpoint_dir = tmp_path
        paths.append(model._checkpoint_path(X, index, None))
    assert paths[0] != paths[1]
