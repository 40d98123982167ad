"""Images come from their vectors; the same seed gives the same bytes, killed or not."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_images import SIDE, discs

from bloomdiff.data.fingerprint import Fingerprint, assert_disjoint
from bloomdiff.errors import InputError, IntegrityError, LeakageError, ParameterError
from bloomdiff.imaging.pixels import N_TURNS, to_pixels, to_tensor, turned

pytest.importorskip("diffusers", reason="needs the extra image-space")

from bloomdiff.imaging import ImageDiffusion, ImageDiffusionConfig
from bloomdiff.imaging.training import ImageTrainer
from bloomdiff.parallel import CHUNKS_AHEAD

GROUPS = Fingerprint.of(["a"])


def short(tiny, **changes):
    return replace(tiny, **{"n_steps": 4, "batch_size": 4, **changes})


def fit_short(config, seed=0, **more):
    images, vectors = discs(12)
    return ImageDiffusion(config).fit(images, vectors, fingerprint=GROUPS, seed=seed, **more)


def test_images_follow_their_vectors(fitted):
    real, vectors = discs(24, seed=5)
    made = fitted.sample(vectors, seed=1)
    assert made.dtype == np.uint8
    assert made.shape == (24, SIDE, SIDE, 3)
    error = np.abs(made.astype(float) - real).mean(axis=(1, 2, 3))
    shuffled = np.abs(np.roll(made, 7, axis=0).astype(float) - real).mean(axis=(1, 2, 3))
    assert error.mean() < 0.75 * shuffled.mean()
    centre = made[:, SIDE // 2, SIDE // 2].astype(int)
    assert ((centre[:, 0] > centre[:, 2]) == (vectors[:, 0] > 0)).mean() > 0.9


def test_an_image_depends_on_its_own_row_alone(fitted):
    vectors = discs(20)[1]
    every = fitted.sample(vectors, seed=3)
    np.testing.assert_array_equal(every[:3], fitted.sample(vectors[:3], seed=3))
    np.testing.assert_array_equal(every, fitted.sample(vectors, seed=3))
    assert (every != fitted.sample(vectors, seed=4)).any()
    assert fitted.sample(vectors[:0], seed=3).shape == (0, SIDE, SIDE, 3)


@pytest.mark.parametrize("cores", [1, 2])
def test_noise_is_drawn_as_it_is_needed_and_is_what_it_was(fitted, monkeypatch, cores):
    import bloomdiff.imaging.model as module

    vectors = discs(40)[1]
    drawn, ahead = [], []

    class Noise:
        def __init__(self, seed):
            self.rng = default_rng(seed)

        def standard_normal(self, *args):
            drawn.append(self.rng.standard_normal(*args))
            return drawn[-1]

    def solve(denoise, x, levels):
        seen.append(x / float(levels[0]))
        ahead.append(len(drawn) - len(seen))
        return x

    seen, default_rng = [], np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", Noise)
    monkeypatch.setattr(module, "dpm_solver", solve)
    monkeypatch.setattr(module, "usable_cores", lambda: cores)
    monkeypatch.setitem(module.BATCH, "cpu", 1)
    fitted.sample(vectors, seed=3)
    assert len(seen) == 40
    assert max(ahead) <= CHUNKS_AHEAD * cores
    once = default_rng(3).standard_normal((40, 3, SIDE, SIDE), np.float32)
    np.testing.assert_array_equal(np.concatenate(drawn), once)


def test_guidance_changes_images_and_one_is_none(fitted):
    vectors = discs(2)[1]
    plain = fitted.sample(vectors, seed=3)
    np.testing.assert_array_equal(plain, fitted.sample(vectors, seed=3, guidance=1.0))
    assert (plain != fitted.sample(vectors, seed=3, guidance=3.0)).any()


def test_saved_and_loaded(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    again = ImageDiffusion.load(tmp_path / "model")
    vectors = discs(5)[1]
    np.testing.assert_array_equal(fitted.sample(vectors, seed=2), again.sample(vectors, seed=2))
    assert again.fingerprint == GROUPS
    assert again.config == fitted.config
    with pytest.raises(LeakageError):
        assert_disjoint(["a", "b"], again)
    state = tmp_path / "model" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-1] + b"\x01")
    with pytest.raises(IntegrityError):
        ImageDiffusion.load(tmp_path / "model")


def weights(model):
    return torch.cat([p.flatten() for p in model._network.parameters()])


def test_the_same_seed_gives_the_same_weights(tiny):
    first, second = fit_short(short(tiny)), fit_short(short(tiny))
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(fit_short(short(tiny), seed=1)))


def test_one_thread_gives_the_same_weights_as_two(tiny, monkeypatch):
    both = fit_short(short(tiny))
    monkeypatch.setattr("bloomdiff.imaging.training.usable_cores", lambda: 1)
    assert torch.equal(weights(both), weights(fit_short(short(tiny))))


def test_two_parts_of_a_batch_have_the_gradient_of_the_whole(tiny, monkeypatch):
    halves = fit_short(short(tiny, n_steps=1))
    monkeypatch.setattr("bloomdiff.imaging.training.SHARDS", 1)
    whole = fit_short(short(tiny, n_steps=1))
    # Adam's first step is the sign of the gradient: where it is rounding, the sign is chance.
    near = torch.isclose(weights(halves), weights(whole), atol=1e-5)
    assert near.float().mean() > 0.99


def test_a_batch_of_one_image_is_trained_on(tiny):
    first, more = (fit_short(short(tiny, batch_size=1, n_steps=n)) for n in (1, 3))
    assert torch.isfinite(weights(more)).all()
    assert not torch.equal(weights(first), weights(more))
    images = more.sample(discs(2)[1], seed=0)
    assert images.shape == (2, SIDE, SIDE, 3)


KILLED = """
import sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, {tests!r})
from toy_images import discs
from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.imaging import ImageDiffusion, ImageDiffusionConfig
import bloomdiff.imaging.checkpoints as checkpoints
checkpoints.CHECKPOINT_STEPS = 2
config = ImageDiffusionConfig(image_size=16, patch=1, widths=(16, 32), n_steps=10**6, batch_size=4)
images, vectors = discs(12)
ImageDiffusion(config).fit(images, vectors, fingerprint=Fingerprint.of(["a"]), seed=0,
                           checkpoint_dir=Path(sys.argv[1]))
"""


def test_a_killed_training_leaves_a_whole_checkpoint(tmp_path):
    code = KILLED.format(tests=str(Path(__file__).parent))
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    deadline = time.monotonic() + 90
    while not list(tmp_path.glob("image-diffusion-*")) and time.monotonic() < deadline:
        time.sleep(0.1)
        assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    from safetensors.torch import load_file

    [path] = tmp_path.glob("image-diffusion-*")
    assert int(load_file(path)["step"]) >= 2


def test_a_resumed_training_is_bit_identical(tiny, tmp_path, monkeypatch):
    config = short(tiny, n_steps=6)
    monkeypatch.setattr("bloomdiff.imaging.checkpoints.CHECKPOINT_STEPS", 2)
    whole = fit_short(config)

    advance, seen = ImageTrainer._advance, []

    def cut(self, *args):
        seen.append(self.step)
        if len(seen) == 4:
            raise KeyboardInterrupt
        advance(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(ImageTrainer, "_advance", cut)
        with pytest.raises(KeyboardInterrupt):
            fit_short(config, checkpoint_dir=tmp_path)
        assert len(list(tmp_path.iterdir())) == 1
        seen.clear()
        patch.setattr(ImageTrainer, "_advance", lambda s, *a: (seen.append(s.step), advance(s, *a)))
        resumed = fit_short(config, checkpoint_dir=tmp_path)
    assert seen == [2, 3, 4, 5]
    assert torch.equal(weights(whole), weights(resumed))
    assert list(tmp_path.iterdir()) == []


def test_another_runs_checkpoint_is_not_taken_up(tiny, tmp_path):
    from bloomdiff.imaging.checkpoints import checkpoint_path

    images, vectors = discs(12)
    names = {
        checkpoint_path(tmp_path, config, seed, images, v)
        for config, seed, v in (
            (tiny, 0, vectors),
            (tiny, 1, vectors),
            (short(tiny), 0, vectors),
            (tiny, 0, vectors + 1),
        )
    }
    assert len(names) == 4


def test_what_is_not_finite_is_refused(tiny, fitted):
    images, vectors = discs(12)
    vectors[3, 1] = np.nan
    with pytest.raises(InputError, match="training vector 3"):
        ImageDiffusion(tiny).fit(images, vectors, fingerprint=GROUPS, seed=0)
    with pytest.raises(InputError, match="vector 3"):
        fitted.sample(vectors, seed=0)
    with pytest.raises(ParameterError, match="lower the learning rate"):
        fit_short(short(tiny, learning_rate=1e30))


def test_shapes_are_checked(tiny, fitted):
    images, vectors = discs(12)
    with pytest.raises(ValueError, match="uint8"):
        ImageDiffusion(tiny).fit(images.astype(float), vectors, fingerprint=GROUPS, seed=0)
    with pytest.raises(ValueError, match="n = 12"):
        ImageDiffusion(tiny).fit(images, vectors[:4], fingerprint=GROUPS, seed=0)
    with pytest.raises(ValueError, match="dimension 2"):
        fitted.sample(np.zeros((1, 3), np.float32), seed=0)
    with pytest.raises(ValueError, match="multiple of 8"):
        ImageDiffusionConfig(image_size=60)
    with pytest.raises(ValueError, match="widths"):
        ImageDiffusionConfig(widths=(20,))
    with pytest.raises(ValueError, match="widths"):
        ImageDiffusionConfig(widths=(64, 0))


@pytest.mark.parametrize(("patch", "width"), [(1, 16), (2, 16), (4, 48)])
def test_a_patch_passes_through_the_first_width_or_is_refused(patch, width):
    """A last layer of fewer channels than values could not tell all of the noise."""
    from bloomdiff.imaging.network import ImageDenoiser

    config = ImageDiffusionConfig(image_size=16, patch=patch, widths=(width, 2 * width))
    last = ImageDenoiser(config, 2, 0.5).unet.conv_out
    assert last.in_channels >= last.out_channels == 3 * patch**2
    with pytest.raises(ValueError, match=rf"at least 3 patch² = \d+, however: {width}$"):
        replace(config, patch=4 * patch, image_size=64)


def test_pixels_survive_the_way_there_and_back():
    images = discs(3)[0]
    np.testing.assert_array_equal(to_pixels(to_tensor(images)), images)
    assert to_pixels(torch.tensor([-9.0, 9.0]).reshape(1, 1, 1, 2).expand(1, 3, 1, 2)).max() == 255


def test_turns_are_the_eight_symmetries_of_a_square():
    x = torch.arange(2 * 3 * 4 * 4.0).reshape(2, 3, 4, 4)[:1]
    every = turned(x.expand(N_TURNS, -1, -1, -1), torch.arange(N_TURNS))
    assert torch.equal(every[0], x[0])
    assert len({tuple(e.flatten().tolist()) for e in every}) == N_TURNS
    for one in every:
        assert sorted(one.flatten().tolist()) == x.flatten().tolist()


def test_a_missing_extra_is_one_clear_line(monkeypatch):
    from bloomdiff.imaging.diffusers_import import import_diffusers

    for name in [n for n in sys.modules if n.partition(".")[0] == "diffusers"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(ParameterError, match=r"bloomdiff\[image-space\]"):
        import_diffusers()
