from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.neighbors import NearestNeighbors

from bloomdiff.data.duplicates.candidates import (
    near_by_appearance,
    near_by_embedding,
    visual_words,
)
from bloomdiff.data.duplicates.features import extract
from bloomdiff.data.embedding_set import EmbeddingSet

from .conftest import draw_field


@pytest.fixture(scope="module")
def bags():
    images = [draw_field(seed) for seed in range(6)]
    images.append(images[0].rotate(25, resample=Image.Resampling.BICUBIC))
    images.append(images[1].transpose(Image.Transpose.FLIP_TOP_BOTTOM))
    return visual_words(np.stack([extract(np.asarray(image)) for image in images]))


def test_copies_are_nearest_and_the_way_they_are_turned_is_told(bags):
    alone = np.arange(8)
    nearest = near_by_appearance(bags, alone, np.array([6, 7]), 1)
    assert nearest == {(0, 6, False), (1, 7, True)}


def test_bags_are_unit_vectors_closed_under_mirroring(bags):
    length = np.sqrt(np.asarray(bags.multiply(bags).sum(axis=1)).ravel())
    np.testing.assert_allclose(length, 1, rtol=1e-5)
    half = bags.shape[1] // 2
    plain, flipped = bags.toarray()[1], np.roll(bags.toarray()[7], half)
    assert plain @ flipped > plain @ bags.toarray()[7]


def test_families_are_looked_out_of(bags):
    family = np.array([0, 1, 2, 3, 4, 5, 0, 1])
    for a, b, _ in near_by_appearance(bags, family, np.arange(8), 3):
        assert a < b
        assert family[a] != family[b]
    one = near_by_appearance(bags, np.zeros(8, dtype=int), np.arange(8), 3)
    assert one == set()


def embeddings(X) -> EmbeddingSet:
    ids = [f"c{i:03d}" for i in range(len(X))]
    return EmbeddingSet(
        np.asarray(X, dtype=np.float32), pd.DataFrame({"cell_id": ids, "label": "", "group": ids})
    )


def test_near_embeddings_are_scikit_learns():
    X = np.random.default_rng(0).normal(size=(60, 4))
    table = near_by_embedding(embeddings(X), 0.8, n_candidates=3)
    oracle = NearestNeighbors(n_neighbors=4, metric="cosine").fit(X)
    distance, index = oracle.kneighbors(X)
    expected = {
        tuple(sorted((f"c{i:03d}", f"c{j:03d}")))
        for i in range(60)
        for d, j in zip(distance[i, 1:], index[i, 1:], strict=True)
        if 1 - d >= 0.8
    }
    assert set(zip(table["cell_a"], table["cell_b"], strict=True)) == expected
    assert table["cosine"].between(0.8, 1 + 1e-6).all()


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_embeddings_have_no_pairs(n):
    assert near_by_embedding(embeddings(np.ones((n, 3))), 0.5).empty


def test_an_embedding_of_zero_length_is_near_nothing():
    assert near_by_embedding(embeddings(np.zeros((3, 3))), 0.5).empty
