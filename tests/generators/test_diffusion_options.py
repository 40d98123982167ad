"""Every choice that is off by default: validated, saved, restored, and at work."""

import numpy as np
import pytest

from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.errors import ParameterError
from bloomdiff.generators import load_generator, make_generator

FINGERPRINT = Fingerprint.of(["slide"])
SMALL = {"n_steps": 200, "width": 32, "n_components": 2, "batch_size": 64}
CHOICES = {
    "rectified flow": {"objective": "rectified-flow", "prediction": "data"},
    "noise prediction": {"prediction": "noise"},
    "heun": {"sampler": "heun"},
    "guidance": {"guidance": 2.0},
    "interval": {"guidance": 2.0, "guidance_interval": [0.1, 1.0]},
    "autoguidance": {"guidance": 2.0, "guide": "early"},
    "logistic filter": {"filter": "logistic"},
    "prior filter": {"filter": "prior"},
    "feedback": {"feedback": 2.0},
    "parents": {"parents": {"arch": "bow", "bridge": "bow", "cloud": "other"}},
}


@pytest.fixture(scope="module")
def cells():
    """Two classes on half rings, as alike as siblings, and a rare one."""
    rng = np.random.default_rng(0)
    y = rng.choice(3, 400, p=[0.5, 0.4, 0.1])
    angle = rng.uniform(0, np.pi, len(y))
    X = rng.normal(0, 0.3, (len(y), 4))
    X[:, 0] += np.where(y < 2, 3 * np.cos(angle), 6)
    X[:, 1] += np.where(y < 2, 3 * np.sin(angle) + y, 0)
    return X.astype(np.float32), np.asarray(["arch", "bridge", "cloud"])[y]


def fitted(cells, **params):
    X, y = cells
    return make_generator("diffusion", SMALL | params, seed=0).fit(X, y, fingerprint=FINGERPRINT)


ASKED = np.repeat(["arch", "cloud", "bridge"], [40, 5, 300])


@pytest.fixture(scope="module")
def plain(cells):
    generator = fitted(cells)
    assert generator._diffusion.learned
    return generator.sample(ASKED, seed=1)


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_matters_and_survives_saving(name, cells, plain, tmp_path):
    generator = fitted(cells, **CHOICES[name])
    rows = generator.sample(ASKED, seed=1)
    assert np.isfinite(rows).all()
    assert (rows != plain).any()
    generator.save(tmp_path / "generator")
    back = load_generator(tmp_path / "generator")
    np.testing.assert_array_equal(back.sample(ASKED, seed=1), rows)
    assert back.params == generator.params
    fewer = back.sample(["arch"] * 7, seed=1)
    np.testing.assert_array_equal(fewer, rows[:7])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"objective": "score"}, "'edm' or 'rectified-flow'"),
        ({"sampler": "euler"}, "'dpm-solver\\+\\+' or 'heun'"),
        ({"guidance_interval": [1.0, 0.1]}, "the lower first"),
        ({"filter": "knn"}, "'none', 'logistic' or 'prior'"),
        ({"feedback": -1.0}, "feedback: is -1.0; .*at least 0"),
        ({"guide_steps": 0}, "guide_steps: is 0; .*at least 1"),
    ],
)
def test_a_wrong_value_is_told_in_one_line(params, message):
    with pytest.raises(ParameterError, match=message) as caught:
        make_generator("diffusion", params, seed=0)
    assert "\n" not in str(caught.value)


def test_a_parent_of_no_class_is_told(cells):
    with pytest.raises(ParameterError, match=r"'arc'.*arch, bridge, cloud"):
        fitted(cells, parents={"arc": "bow"})


def test_lineages_are_the_parents_of_vocabulary_classes():
    generator = make_generator("diffusion", {"parents": "lineage"}, seed=0)
    generator.classes_ = np.asarray(
        ["artefact", "eosinophil", "erythroblast", "neutrophil_band", "our own", "smudge_cell"]
    )
    parents = generator._parents()
    assert parents[1] == parents[3]
    assert len(set(parents.tolist())) == 5


def test_an_early_guide_needs_its_steps_to_be_trained(cells):
    """The guide is the network's average on the way, not the one at the end."""
    model = fitted(cells, guide="early")._diffusion
    one, other = model.network.state_dict(), model.guide.state_dict()
    assert one.keys() == other.keys()
    assert any(not (one[k] == other[k]).all() for k in one)
