import numpy as np
from sklearn.neighbors import NearestNeighbors

from bloomdiff.report.explorer.neighbourhood import (
    NEAREST,
    Neighbourhood,
    Usual,
    percentile,
    share_too_near,
    suspects,
)

RNG = np.random.default_rng(0)
TRAIN, TEST = RNG.normal(size=(80, 5)), RNG.normal(size=(40, 5))


def usual():
    return Usual.of(TRAIN, TEST, np.arange(80), np.arange(40))


def test_neighbours_are_those_of_scikit_learn():
    made = RNG.normal(size=(30, 5))
    near = Neighbourhood.of(made, TRAIN, TEST)
    for X, distance, rows in (
        (TRAIN, near.train_distance, near.train),
        (TEST, near.test_distance, near.test),
    ):
        expected, index = NearestNeighbors(n_neighbors=NEAREST).fit(X).kneighbors(made)
        np.testing.assert_allclose(distance, expected)
        np.testing.assert_array_equal(rows, index)


def test_usual_distances_cross_the_border_of_the_fold():
    found = usual()
    expected = NearestNeighbors(n_neighbors=1).fit(TRAIN).kneighbors(TEST)[0][:, 0]
    np.testing.assert_allclose(found.to_train, np.sort(expected))
    assert len(found.to_test) == len(TRAIN)
    # Twins within the training part, as cells of one slide are, must not make it smaller.
    twins = Usual.of(np.repeat(TRAIN, 2, 0), TEST, np.arange(160), np.arange(40))
    np.testing.assert_allclose(twins.to_train, found.to_train)


def test_percentiles_count_the_smaller_ones():
    ordered = np.array([1.0, 2.0, 3.0, 4.0])
    assert percentile(np.array([0.5, 2.0, 2.5, 9.0]), ordered).tolist() == [0, 25, 50, 100]


def test_suspects_are_found_where_they_were_planted():
    made = RNG.normal(size=(60, 5))
    made[17] = TRAIN[3]
    made[42] = 50.0
    believed = np.full(60, 0.9)
    believed[8] = 0.01
    near = Neighbourhood.of(made, TRAIN, TEST)
    found = suspects(near, believed)
    assert (found["memorised"][0], found["disputed"][0], found["farthest"][0]) == (17, 8, 42)
    assert near.train[17, 0] == 3


def test_copies_are_too_near_and_fresh_cells_are_not():
    copies = Neighbourhood.of(TRAIN + 1e-6, TRAIN, TEST)
    fresh = Neighbourhood.of(RNG.normal(size=(400, 5)), TRAIN, TEST)
    assert share_too_near(copies, usual()) == 1.0
    assert share_too_near(fresh, usual()) < 0.2


def test_copies_are_too_near_where_held_out_cells_have_copies_too():
    """A mirrored image has the histogram of the image: some held-out cells lie on training ones."""
    test = np.concatenate([TRAIN[: len(TEST) // 5], TEST[len(TEST) // 5 :]])
    copies = Neighbourhood.of(TRAIN, TRAIN, test)
    everything = np.arange(len(TRAIN)), np.arange(len(test))
    assert share_too_near(copies, Usual.of(TRAIN, test, *everything)) == 1.0
