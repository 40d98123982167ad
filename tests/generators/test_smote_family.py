"""The family of SMOTE against imbalanced-learn: its samples lie on our segments, and only there."""

import numpy as np
import pytest
from imblearn.over_sampling import ADASYN, SMOTE, BorderlineSMOTE, KMeansSMOTE
from scipy.spatial import distance
from scipy.spatial.distance import pdist
from sklearn.cluster import KMeans

from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.generators import make_generator
from bloomdiff.generators.interpolation import Segments, nearest_rows
from bloomdiff.generators.kmeans_smote import MOST_PAIRED


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (200, 3)), rng.normal(1.2, 1, (40, 3))])
    return X.astype(np.float32), np.repeat([0, 1], [200, 40])


def ours(name, data, **params):
    X, y = data
    generator = make_generator(name, params, seed=0)
    return generator.fit(X, y.astype(str), fingerprint=Fingerprint.of(["a"]))


def theirs(sampler, data):
    X, y = data
    return sampler.fit_resample(X, y)[0][len(X) :]


def distance_to_segments(points, X, segments: Segments):
    """Distance of each point to the nearest of the segments, `(n,)`."""
    best = np.full(len(points), np.inf)
    for base, ends in zip(segments.base, segments.neighbours, strict=True):
        for end in ends[ends >= 0]:
            a, ab = X[base].astype(float), (X[end] - X[base]).astype(float)
            t = np.clip((points - a) @ ab / (ab @ ab), 0, 1)
            best = np.minimum(best, np.linalg.norm(points - a - t[:, None] * ab, axis=1))
    return best


CASES = {
    "smote": ({}, SMOTE(random_state=0)),
    "borderline-smote": ({}, BorderlineSMOTE(random_state=0)),
    "adasyn": ({}, ADASYN(random_state=0)),
}


@pytest.mark.parametrize("name", CASES)
def test_imbalanced_learn_samples_lie_on_our_segments(name, data):
    params, sampler = CASES[name]
    generator = ours(name, data, **params)
    points = theirs(sampler, data)
    assert len(points) > 100
    assert distance_to_segments(points, data[0], generator._segments[1]).max() < 1e-5


def test_the_check_can_fail(data):
    generator = ours("smote", data, k_neighbors=1)
    points = theirs(SMOTE(random_state=0, k_neighbors=5), data)
    assert distance_to_segments(points, data[0], generator._segments[1]).max() > 0.01


@pytest.mark.parametrize("name", CASES)
def test_means_and_deviations_agree_with_imbalanced_learn(name, data):
    generator = ours(name, data)
    n = 4000
    target = {0: 200, 1: 40 + n}
    kind = type(CASES[name][1])
    points = theirs(kind(random_state=0, sampling_strategy=target), data)
    sample = generator.sample(np.repeat("1", n), seed=0)
    np.testing.assert_allclose(sample.mean(axis=0), points.mean(axis=0), atol=0.06)
    np.testing.assert_allclose(sample.std(axis=0), points.std(axis=0), atol=0.06)


def test_borderline_starts_from_rows_in_danger_only(data):
    X, y = data
    segments = ours("borderline-smote", data)._segments[1]
    for row in np.flatnonzero(y == 1):
        order = np.argsort(((X - X[row]) ** 2).sum(axis=1))[1:11]
        foreign = (y[order] != 1).sum()
        assert (row in segments.base) == (5 <= foreign < 10)


def test_kmeans_smote_stays_within_clusters():
    rng = np.random.default_rng(0)
    centres = np.asarray([[0, 0], [10, 0], [0, 10]])
    y = np.repeat([0, 1, 0, 1, 0], [30, 12, 30, 12, 60])
    X = (centres[np.repeat([0, 0, 1, 1, 2], [30, 12, 30, 12, 60])]).astype(float)
    X = (X + rng.normal(0, 0.5, X.shape)).astype(np.float32)
    generator = ours("kmeans-smote", (X, y), n_clusters=3, threshold=0.1)
    sample = generator.sample(np.repeat("1", 500), seed=0)
    # No sample between the two clusters of the class, where plain SMOTE with many neighbours goes.
    assert ((sample[:, 0] < 3) | (sample[:, 0] > 7)).all()
    far = ours("smote", (X, y), k_neighbors=20).sample(np.repeat("1", 500), seed=0)
    assert ((far[:, 0] > 3) & (far[:, 0] < 7)).any()
    reference = KMeansSMOTE(
        random_state=0,
        kmeans_estimator=KMeans(3, n_init=1, random_state=0),
        cluster_balance_threshold=0.1,
        k_neighbors=5,
    )
    points = theirs(reference, (X, y))
    assert distance_to_segments(points, X, generator._segments[1]).max() < 1e-4


@pytest.mark.parametrize(("given", "theirs"), [(None, "auto"), (1.0, 1.0), (2.0, 2.0)])
def test_kmeans_smote_draws_as_often_in_a_cluster_as_imbalanced_learn(given, theirs):
    """Two clusters of the class, spread alike, one of 200 rows and one of 10."""
    rng = np.random.default_rng(0)
    X = np.concatenate(
        [rng.normal(0, 1, (200, 2)), rng.normal(30, 1, (10, 2)), rng.normal(-30, 1, (400, 2))]
    ).astype(np.float32)
    y = np.repeat([1, 0], [210, 400])
    params = {"n_clusters": 3, "density_exponent": given}
    sample = ours("kmeans-smote", (X, y), **params).sample(np.repeat("1", 4000), seed=0)
    reference = KMeansSMOTE(
        sampling_strategy={1: 210 + 4000},
        random_state=0,
        kmeans_estimator=KMeans(3, n_init=10, random_state=0),
        cluster_balance_threshold=0.1,
        density_exponent=theirs,
    )
    points = reference.fit_resample(X, y)[0][len(X) :]
    share, expected = ((rows[:, 0] > 15).mean() for rows in (sample, points))
    assert share == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize(
    ("given", "scale"), [(384.0, 1.0), (384.0, 1e3), (384.0, 1e-3), (None, 1e14)]
)
def test_the_power_of_a_distance_may_be_beyond_any_number(given, scale):
    """Two clusters of 2000 rows, one spread a little farther, so that it is drawn more often."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1.02, (2000, 2)), rng.normal(30, 1, (2000, 2))])
    data = (scale * X).astype(np.float32), np.ones(4000, dtype=int)
    generator = ours("kmeans-smote", data, n_clusters=2, density_exponent=given)
    share = (generator.sample(np.repeat("1", 2000), seed=0)[:, 0] < 15 * scale).mean()
    ratio = pdist(X[:2000]).mean() / pdist(X[2000:]).mean()
    expected = 1 / (1 + ratio ** -generator._exponent(2000))
    assert share == pytest.approx(expected, abs=0.03)


def test_nearest_rows_leave_out_the_row_itself_but_not_its_copies():
    X = np.asarray([[0], [0], [1], [5]], dtype=np.float32)
    rows = np.arange(4)
    found = nearest_rows(X, rows, rows, 2)
    assert [set(f) for f in found.tolist()] == [{1, 2}, {0, 2}, {0, 1}, {0, 2}] or [
        set(f) for f in found.tolist()
    ] == [{1, 2}, {0, 2}, {0, 1}, {1, 2}]


def test_a_class_of_one_is_repeated():
    X = np.asarray([[0.0], [1.0], [2.0], [9.0]], dtype=np.float32)
    y = np.asarray([0, 0, 0, 1])
    for name in ("smote", "borderline-smote", "adasyn", "kmeans-smote"):
        assert (ours(name, (X, y)).sample(np.repeat("1", 4), seed=0) == 9).all()


def test_kmeans_smote_of_a_large_class_needs_no_square_of_it(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(9000, 4)).astype(np.float32)
    y = np.repeat(["common", "rare"], [8980, 20])
    sizes = []
    monkeypatch.setattr(
        distance, "pdist", lambda rows: sizes.append(len(rows)) or np.ones(len(rows))
    )
    ours("kmeans-smote", (X, y), n_clusters=1, threshold=0.0)
    assert max(sizes) == MOST_PAIRED


def test_a_part_of_the_pairs_tells_their_mean_distance():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2 * MOST_PAIRED, 3)).astype(np.float32)
    generator = ours("kmeans-smote", (X, np.repeat(["a", "b"], MOST_PAIRED)), n_clusters=1)
    told = generator._spread(np.arange(len(X)))
    assert told == pytest.approx(distance.pdist(X).mean(), rel=0.01)
