"""Generators that sample images: from whose images they learn, and how they become embeddings."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.data.folds import inner_folds
from bloomdiff.data.images import pixel_digest, read_rgb
from bloomdiff.encoders import EncoderParams, load_encoder
from bloomdiff.errors import InputError, LeakageError, ParameterError
from bloomdiff.generators import load_generator, make_generator
from bloomdiff.generators.cell_images import CellImages, check_encoder

pytest.importorskip("diffusers", reason="the extra [image-space] is not installed")
SMALL = {
    "image_size": 16,
    "widths": [16, 32],
    "n_steps": 120,
    "batch_size": 16,
    "learning_rate": 3e-3,
    "ema_decay": 0.9,
    "sampling_steps": 6,
}
COLOURS = {"basophil": (60, 40, 160), "eosinophil": (220, 60, 40)}


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """Forty pictures of coloured discs in two classes, five a slide, and their embeddings."""
    root = tmp_path_factory.mktemp("cells")
    rng = np.random.default_rng(0)
    rows = []
    for i in range(40):
        label = list(COLOURS)[i % 2]
        picture = np.full((24, 24, 3), 235, np.uint8)
        y, x = np.mgrid[:24, :24] - 11.5
        picture[np.hypot(y, x) < rng.uniform(6, 9)] = COLOURS[label]
        path = f"{label}-{i:02d}.png"
        Image.fromarray(picture).save(root / path)
        digest = pixel_digest(read_rgb(root / path))
        rows.append((f"cell-{i:02d}", path, label, f"slide-{i // 5}", digest))
    table = pd.DataFrame(rows, columns=["cell_id", "path", "label", "group", "blake3"])
    encoder = load_encoder(EncoderParams(name="colour-histogram"), cache_dir=root)
    images = CellImages(table, root, encoder)
    X = encoder.encode([read_rgb(root / path) for path in table["path"]])
    return table, images, X


def fitted(cells, rows=slice(None), name="image-diffusion", **params):
    table, images, X = cells
    part = table.iloc[rows]
    generator = make_generator(name, SMALL | params, seed=0, images=images)
    return generator.fit(
        X[rows],
        part["label"].to_numpy(dtype=str),
        fingerprint=Fingerprint.of(part["group"]),
        cell_id=part["cell_id"].to_numpy(dtype=str),
    )


@pytest.fixture(scope="module")
def generator(cells):
    return fitted(cells)


def test_images_of_a_class_look_like_it(generator):
    for index, label in enumerate(generator.classes_):
        images = generator.draw_images(index, 24, np.random.default_rng(1))
        assert images.shape == (24, 16, 16, 3)
        middle = images[:, 6:10, 6:10].mean(axis=(0, 1, 2))
        other = next(name for name in COLOURS if name != label)
        near, far = (np.abs(middle - COLOURS[name]).max() for name in (label, other))
        assert near < 40 < far
        assert images[:, 0, 0].mean() > 190


def test_samples_lie_where_the_encoder_puts_their_images(cells, generator):
    _, images, X = cells
    label = np.repeat(generator.classes_, 3)
    sample = generator.sample(label, seed=5)
    assert sample.shape == (6, X.shape[1])
    for index in range(2):
        rng = np.random.default_rng([5, index])
        drawn = generator.draw_images(index, 3, rng)
        expected = images.encoder.encode(list(drawn))
        np.testing.assert_array_equal(sample[3 * index : 3 * index + 3], expected)


def test_it_reads_the_images_of_its_own_rows_alone(cells, monkeypatch):
    table, _, _ = cells
    read = []
    before = CellImages.squares

    def spy(self, cell_id, size, *, fingerprint):
        read.extend(cell_id.tolist())
        return before(self, cell_id, size, fingerprint=fingerprint)

    monkeypatch.setattr(CellImages, "squares", spy)
    fitted(cells, slice(0, 10), n_steps=1)
    assert read == table["cell_id"].iloc[:10].tolist()


def test_what_it_learns_depends_on_the_images_and_not_on_the_embeddings(cells):
    table, images, X = cells
    noise = np.random.default_rng(0).normal(size=X.shape).astype(np.float32)
    one = fitted((table, images, X), n_steps=3)
    other = fitted((table, images, noise), n_steps=3)
    mirrored = table.assign(**{c: table[c].to_numpy()[::-1] for c in ("path", "blake3")})
    third = fitted((table, CellImages(mirrored, images.root, images.encoder), X), n_steps=3)
    samples = [g.draw_images(0, 2, np.random.default_rng(0)) for g in (one, other, third)]
    np.testing.assert_array_equal(samples[0], samples[1])
    assert (samples[0] != samples[2]).any()


def test_refits_inside_a_fold_read_no_image_of_those_held_out(cells, monkeypatch):
    """Temperatures and tuning fit the generator anew on one side of inner folds."""
    import optuna

    from bloomdiff.experiments.inner import InnerFolds
    from bloomdiff.experiments.objectives import generator_objective
    from bloomdiff.experiments.temperature import fit_temperatures

    table, images, X = cells
    train = EmbeddingSet(X, table[["cell_id", "label", "group"]], images.encoder.header)
    folds = inner_folds(train, 2, 0)
    read, before = [], CellImages.squares

    def spy(self, cell_id, *args, **options):
        read.append(cell_id.tolist())
        return before(self, cell_id, *args, **options)

    monkeypatch.setattr(CellImages, "squares", spy)
    quick = SMALL | {"n_steps": 1, "sampling_steps": 2}
    shared = {"allocation": "balance", "seed": 0, "device": "cpu", "images": images}
    found = fit_temperatures(
        train,
        train.take([]),
        generator=("image-diffusion", quick),
        classifier=("logistic", {}),
        ratios=(1.0,),
        n_splits=2,
        **shared,
    )
    assert found["n_validated"].tolist() == [len(train)]
    objective = generator_objective(
        "image-diffusion",
        quick,
        InnerFolds(train, train.take([]), n_splits=2, seed=0),
        classifier=("logistic", {}),
        ratio=1.0,
        **shared,
    )
    assert 0 <= objective(optuna.create_study().ask()) <= 1
    assert read == [train.cell_id[fit].tolist() for fit, _ in folds] * 2


def test_images_of_an_unseen_group_are_refused(cells):
    table, images, _ = cells
    names = table["cell_id"].to_numpy(dtype=str)
    allowed = Fingerprint.of(["slide-0"])
    assert images.squares(names[:5], 16, fingerprint=allowed).shape == (5, 16, 16, 3)
    with pytest.raises(LeakageError, match="slide-1"):
        images.squares(names[:6], 16, fingerprint=allowed)


def test_an_unknown_cell_and_a_changed_image_are_named(cells, tmp_path):
    table, images, _ = cells
    every = Fingerprint.of(table["group"])
    with pytest.raises(InputError, match="'nobody'"):
        images.squares(np.asarray(["nobody"]), 16, fingerprint=every)
    wrong = CellImages(table.assign(blake3="0" * 64), images.root, images.encoder)
    with pytest.raises(InputError, match="has changed"):
        wrong.squares(np.asarray(["cell-00"]), 16, fingerprint=every)


def test_without_images_it_says_so_in_one_line(cells, generator, tmp_path):
    X, y = np.ones((2, 3), np.float32), np.asarray(["a", "b"])
    bare = make_generator("image-diffusion", SMALL, seed=0)
    with pytest.raises(ParameterError, match="was given none"):
        bare.fit(X, y, fingerprint=Fingerprint.of(["a"]), cell_id=y)
    bare.images = cells[1]
    with pytest.raises(ParameterError, match="not told whose"):
        bare.fit(X, y, fingerprint=Fingerprint.of(["a"]))
    generator.save(tmp_path / "g")
    with pytest.raises(ParameterError, match="was given none"):
        load_generator(tmp_path / "g").sample(np.asarray(["basophil"]), seed=0)


def test_an_encoder_that_did_not_make_the_embeddings_is_refused(cells):
    encoder = cells[1].encoder
    header = encoder.header
    check_encoder(encoder, header, "cells.parquet")
    elsewhere = {**header["preprocessing"], "runtime": "torch 9 cuda", "dtype": "bfloat16"}
    check_encoder(encoder, {**header, "preprocessing": elsewhere}, "cells.parquet")
    other = load_encoder(
        EncoderParams(name="colour-histogram", image_size=32), cache_dir=Path("unused")
    )
    for changed in ({**header, "digest": "0"}, other.header, {}):
        with pytest.raises(InputError, match=r"cells\.parquet"):
            check_encoder(encoder, changed, "cells.parquet")


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"image_size": 30}, "multiple of"),
        ({"widths": [20]}, "16"),
        ({"widths": [32, 64], "patch": 4}, "first of widths must be at least 3 patch² = 48"),
    ],
)
def test_shapes_that_do_not_fit_together_are_one_line(params, told):
    with pytest.raises(ParameterError, match=told) as caught:
        make_generator("image-diffusion", params, seed=0)
    assert "\n" not in str(caught.value)


def test_a_training_that_was_cut_short_goes_on(cells, tmp_path, monkeypatch):
    from bloomdiff.imaging import checkpoints
    from bloomdiff.imaging.training import ImageTrainer

    def make():
        table, images, X = cells
        generator = make_generator("image-diffusion", SMALL | {"n_steps": 8}, seed=0, images=images)
        generator.checkpoint_dir = tmp_path
        return generator.fit(
            X,
            table["label"].to_numpy(dtype=str),
            fingerprint=Fingerprint.of(table["group"]),
            cell_id=table["cell_id"].to_numpy(dtype=str),
        )

    monkeypatch.setattr(checkpoints, "CHECKPOINT_STEPS", 4)
    steps, advance = [], ImageTrainer._advance

    def stop_at_six(self, *args):
        if self.step == 6:
            raise KeyboardInterrupt
        advance(self, *args)

    def count(self, *args):
        steps.append(self.step)
        advance(self, *args)

    monkeypatch.setattr(ImageTrainer, "_advance", stop_at_six)
    with pytest.raises(KeyboardInterrupt):
        make()
    monkeypatch.setattr(ImageTrainer, "_advance", count)
    resumed = make()
    assert steps == [4, 5, 6, 7]
    assert list(tmp_path.iterdir()) == []
    np.testing.assert_array_equal(
        resumed.draw_images(0, 2, np.random.default_rng(0)),
        fitted(cells, n_steps=8).draw_images(0, 2, np.random.default_rng(0)),
    )
