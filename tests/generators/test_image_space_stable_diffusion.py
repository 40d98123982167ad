"""Stable Diffusion with a LoRA a class: the real code on a tiny pipeline of random weights."""

import shutil
import socket
from importlib.util import find_spec

import numpy as np
import pytest
from pictured_rows import PicturedRows, names
from tiny_stable_diffusion import SIDE, tiny_weights

from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.errors import InputError, ParameterError
from bloomdiff.generators import load_generator, make_generator
from bloomdiff.generators.stable_diffusion_weights import FILES, weights_folder

# Looked for and not imported: beside a CPU build of torch they need `import_diffusers`.
pytestmark = pytest.mark.skipif(
    not all(map(find_spec, ("diffusers", "peft", "transformers"))),
    reason="the extra [image-space] is not installed",
)

SMALL = {
    "image_size": SIDE,
    "rank": 4,
    "shots": 4,
    "n_steps": 30,
    "batch_size": 6,
    "learning_rate": 1e-2,
    "sampling_steps": 3,
    "sampling_batch_size": 4,
}
LABEL = np.repeat(["basophil", "monocyte"], 6)
FINGERPRINT = Fingerprint.of(["slide"])


def rows(dark_monocytes=False):
    """Twelve rows whose images are bright or dark squares."""
    X = np.where(LABEL == "basophil", -5.0, -9.0 if dark_monocytes else 40.0)
    return np.repeat(X[:, None], 3, axis=1).astype(np.float32)


def make(X, **params):
    weights = params.pop("weights", None) or str(tiny_weights())
    values = SMALL | {"weights": weights} | params
    return make_generator("stable-diffusion-lora", values, seed=0, images=PicturedRows(X))


def fitted(X, **params):
    return make(X, **params).fit(X, LABEL, fingerprint=FINGERPRINT, cell_id=names(X))


def images_of(generator, index, n=3, seed=7):
    return generator.draw_images(index, n, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def generator():
    return fitted(rows())


@pytest.fixture(scope="module")
def still():
    """Trained at no rate at all: the frozen pipeline, with the losses that it has."""
    return fitted(rows(), learning_rate=1e-12)


def test_training_lowers_the_loss_on_the_very_same_noise(generator, still):
    for label in ("basophil", "monocyte"):
        assert generator.losses(label).shape == (SMALL["n_steps"],)
        # Equal seeds draw equal batches and equal noise: the difference is what was learned.
        gain = still.losses(label) - generator.losses(label)
        assert gain[-10:].mean() > 0.05
        assert abs(gain[0]) < 1e-6


def test_a_class_trained_on_other_images_changes_its_samples_and_no_other(generator):
    other = fitted(rows(dark_monocytes=True))
    np.testing.assert_array_equal(images_of(generator, 0), images_of(other, 0))
    assert (images_of(generator, 1) != images_of(other, 1)).mean() > 0.02


def test_the_trained_classes_differ_from_the_frozen_pipeline(generator, still):
    for index in range(2):
        moved = images_of(generator, index) != images_of(still, index)
        assert moved.mean() > 0.02


def test_an_untrained_lora_leaves_the_samples_those_of_the_library(still):
    """LoRA starts as nothing, so the pipeline itself must draw the same pixels."""
    import torch

    from bloomdiff.imaging.diffusers_import import import_diffusers

    pipeline = import_diffusers().StableDiffusionPipeline.from_pretrained(
        tiny_weights(), safety_checker=None, requires_safety_checker=False
    )
    pipeline.set_progress_bar_config(disable=True)
    seeds = np.random.default_rng(7).integers(2**63, size=3).tolist()
    found = pipeline(
        prompt=["a photo of a basophil"] * 3,
        height=SIDE,
        width=SIDE,
        num_inference_steps=3,
        guidance_scale=2.0,
        generator=[torch.Generator().manual_seed(seed) for seed in seeds],
        output_type="np",
    ).images
    ours = images_of(still, 0)
    # A batch of three and one of four differ in the last bits.
    assert np.abs(ours.astype(int) - np.round(255 * found)).max() <= 1


def test_an_image_does_not_depend_on_how_many_are_asked_for(generator):
    np.testing.assert_array_equal(images_of(generator, 0, 7)[:2], images_of(generator, 0, 2))


def test_images_are_embedded_as_they_come(generator, monkeypatch):
    every = images_of(generator, 1, 10)
    expected = generator.images.embed(every)
    seen, embed = [], PicturedRows.embed
    monkeypatch.setattr("bloomdiff.generators.stable_diffusion.AT_ONCE", 3)  # batches are of 4
    monkeypatch.setattr(
        PicturedRows, "embed", lambda self, images: (seen.append(images), embed(self, images))[1]
    )
    found = generator._sample_class(1, 10, np.random.default_rng(7))
    assert [len(part) for part in seen] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate(seen), every)
    np.testing.assert_array_equal(found, expected)


def test_saved_it_holds_safetensors_and_draws_the_same_bytes(generator, tmp_path):
    from safetensors.numpy import load_file

    generator.save(tmp_path / "g")
    assert {path.suffix for path in (tmp_path / "g").iterdir()} == {".json", ".safetensors"}
    state = load_file(tmp_path / "g" / "state.safetensors")
    lora = [name for name in state if name.endswith("lora_A.weight")]
    assert {name.partition(".")[0] for name in lora} == {"0", "1"}
    assert all(len(state[name]) == SMALL["rank"] for name in lora)
    loaded = load_generator(tmp_path / "g", images=generator.images)
    for index in (1, 0):
        np.testing.assert_array_equal(images_of(loaded, index), images_of(generator, index))
    np.testing.assert_array_equal(loaded.losses("monocyte"), generator.losses("monocyte"))


def test_loras_are_not_put_on_other_weights(generator, tmp_path):
    generator.save(tmp_path / "g")
    loaded = load_generator(tmp_path / "g", images=generator.images)
    loaded.params = loaded.params.model_copy(update={"weights": str(tiny_weights(seed=1))})
    with pytest.raises(InputError, match="not those that the LoRAs were trained on"):
        images_of(loaded, 0)


def test_pipelines_that_predict_velocities_are_trained_for_them(still):
    weights = str(tiny_weights(prediction_type="v_prediction"))
    first = fitted(rows(), weights=weights, n_steps=1).losses("basophil")[0]
    # The same network, batch and noise; another target.
    assert abs(first - still.losses("basophil")[0]) > 1e-3


def test_no_more_cells_than_the_shots_are_learned_from(monkeypatch):
    from bloomdiff.generators.class_lora import ClassLora

    seen, train = [], ClassLora.train

    def spy(self, images, prompt, *args, **options):
        seen.append((len(images), prompt))
        return train(self, images, prompt, *args, **options)

    monkeypatch.setattr(ClassLora, "train", spy)
    fitted(rows(), n_steps=1)
    fitted(rows(), n_steps=1, shots=None, prompt="{cell}, stained")
    assert seen == [
        (4, "a photo of a basophil"),
        (4, "a photo of a monocyte"),
        (6, "basophil, stained"),
        (6, "monocyte, stained"),
    ]


def test_prompts_are_in_the_words_of_the_vocabulary():
    params = make(rows()).params
    assert params.prompt_of("NGB") == "a photo of a band neutrophil"
    assert params.prompt_of("neutrophil") == "a photo of a neutrophil"
    assert params.prompt_of("our_own_class") == "a photo of a our own class"
    with pytest.raises(ParameterError, match=r"\{cell\}"):
        make(rows(), prompt="a photo of a cell")


def test_a_fit_that_was_cut_short_trains_the_missing_classes_alone(tmp_path, monkeypatch):
    from bloomdiff.generators.class_lora import ClassLora

    straight = fitted(rows(), n_steps=4)
    prompts, train = [], ClassLora.train

    def attempt():
        generator = make(rows(), n_steps=4)
        generator.checkpoint_dir = tmp_path
        return generator.fit(rows(), LABEL, fingerprint=FINGERPRINT, cell_id=names(rows()))

    def stop_at_the_second(self, images, prompt, *args, **options):
        if "monocyte" in prompt:
            raise KeyboardInterrupt
        return train(self, images, prompt, *args, **options)

    monkeypatch.setattr(ClassLora, "train", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        attempt()
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]

    def spy(self, images, prompt, *args, **options):
        prompts.append(prompt)
        return train(self, images, prompt, *args, **options)

    monkeypatch.setattr(ClassLora, "train", spy)
    resumed = attempt()
    assert prompts == ["a photo of a monocyte"]
    assert list(tmp_path.iterdir()) == []
    for index in range(2):
        np.testing.assert_array_equal(images_of(resumed, index), images_of(straight, index))


def test_a_missing_library_is_one_line_with_the_mend(monkeypatch):
    from bloomdiff.generators import class_lora

    monkeypatch.setattr(class_lora, "find_spec", lambda name: None if name == "peft" else name)
    with pytest.raises(ParameterError, match=r"peft.*pip install 'bloomdiff\[image-space\]'"):
        fitted(rows())


@pytest.mark.timeout(60)
def test_without_weights_and_network_one_line_says_what_to_fetch(monkeypatch):
    from huggingface_hub import constants

    from bloomdiff.encoders import hub

    def fail(*_):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(hub, "getproxies", dict)
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", "/nonexistent")
    with pytest.raises(InputError) as caught:
        make(rows(), weights="some/repository").fit(
            rows(), LABEL, fingerprint=FINGERPRINT, cell_id=names(rows())
        )
    told = str(caught.value)
    assert "\n" not in told
    assert all(name in told for name in FILES)
    assert "weights: FOLDER" in told


def test_files_that_a_folder_lacks_are_named(tmp_path):
    folder = shutil.copytree(tiny_weights(), tmp_path / "weights")
    assert weights_folder(str(folder)) == folder
    unet = folder / "unet" / "diffusion_pytorch_model.safetensors"
    # A pickle in place of the safetensors is not taken for it.
    unet.rename(unet.with_suffix(".bin"))
    with pytest.raises(InputError, match=r"lack unet/diffusion_pytorch_model\.safetensors;"):
        weights_folder(str(folder))


def test_a_loss_that_is_not_finite_is_one_line():
    with pytest.raises(ParameterError, match="lower the learning rate"):
        fitted(rows(), learning_rate=1e30)
