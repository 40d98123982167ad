import numpy as np
import pytest
from sklearn.decomposition import PCA

from bloomdiff.report.explorer.projection import project_all


@pytest.fixture
def train():
    rng = np.random.default_rng(0)
    centres = 6 * np.eye(3, 12)
    return (np.repeat(centres, 30, 0) + rng.normal(size=(90, 12))).astype(np.float32)


def test_the_fit_sees_training_cells_alone(train):
    rng = np.random.default_rng(1)
    few = train[:5] + 0.1
    many = np.concatenate([few, 100 * rng.normal(size=(40, 12)).astype(np.float32)])
    alone, crowded = (project_all(train, {"new": X}, seed=0) for X in (few, many))
    for name in ("PCA", "t-SNE"):
        np.testing.assert_array_equal(alone[name]["train"], crowded[name]["train"])
    # The last bits of a float32 product depend on its shape.
    np.testing.assert_allclose(alone["PCA"]["new"], crowded["PCA"]["new"][:5], rtol=1e-6)
    expected = PCA(2, svd_solver="full").fit(train).transform(few)
    np.testing.assert_allclose(alone["PCA"]["new"], expected, atol=1e-4)


def test_equal_input_gives_equal_places(train):
    first, second = (project_all(train, {"new": train[:20]}, seed=4) for _ in range(2))
    for name, places in first.items():
        for kind, points in places.items():
            np.testing.assert_array_equal(points, second[name][kind])


def test_new_points_land_in_their_own_cluster(train):
    rng = np.random.default_rng(2)
    new = (6 * np.eye(3, 12) + 0.3 * rng.normal(size=(3, 12))).astype(np.float32)
    places = project_all(train, {"new": new}, seed=0)["t-SNE"]
    away = ((places["new"][:, None] - places["train"][None]) ** 2).sum(-1)
    assert (away.argmin(axis=1) // 30).tolist() == [0, 1, 2]


def test_few_cells_have_principal_components_only(train):
    places = project_all(train[:3, :1], {"new": train[:0, :1]}, seed=0)
    assert list(places) == ["PCA"]
    assert places["PCA"]["train"].shape == (3, 2)
    assert places["PCA"]["new"].shape == (0, 2)
