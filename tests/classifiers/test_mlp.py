import os
import subprocess
import sys

import numpy as np
import torch
from joblib import Parallel, delayed
from sklearn.metrics import f1_score
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from bloomdiff.classifiers import make_classifier
from bloomdiff.classifiers.mlp import _mixed


def test_as_good_as_scikit_learns(digits):
    train, test = digits
    ours = make_classifier("mlp").fit(train.X, train.label, fingerprint=train.fingerprint)
    scaler = StandardScaler().fit(train.X)
    oracle = MLPClassifier(128, max_iter=200, random_state=0).fit(
        scaler.transform(train.X), train.label
    )
    reached = (oracle.predict(scaler.transform(test.X)) == test.label).mean()
    assert (ours.predict(test.X) == test.label).mean() >= reached - 0.02


def test_forward_pass_written_out(digits):
    """The network computed by hand from its saved state, without dropout."""
    from scipy.stats import norm

    train, test = digits
    classifier = make_classifier("mlp", {"steps": 20}).fit(
        train.X, train.label, fingerprint=train.fingerprint
    )
    state = {k: v.astype(np.float64) for k, v in classifier._state().items()}
    hidden = classifier._standardise(test.X) @ state["0.weight"].T + state["0.bias"]
    hidden = hidden * norm.cdf(hidden)
    logits = hidden @ state["3.weight"].T + state["3.bias"]
    expected = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(classifier.predict_proba(test.X), expected, atol=1e-5)


def test_one_thread_where_torch_is_imported_by_the_fit_itself():
    code = """
import sys
import numpy as np
from bloomdiff.classifiers import make_classifier, mlp
from bloomdiff.data.fingerprint import Fingerprint

seen, empty = [], mlp._empty_network
def spy(*args):
    import torch
    seen.append(torch.get_num_threads())
    return empty(*args)
mlp._empty_network = spy
classifier = make_classifier("mlp", {"steps": 2})
assert "torch" not in sys.modules
X = np.eye(4, dtype=np.float32)
classifier.fit(X, np.array(list("aabb")), fingerprint=Fingerprint.of(["g"]))
import torch
print(*seen, torch.get_num_threads())
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "2"},
    )
    assert done.stdout.split() == ["1", "2"]


def test_another_seed_another_network(digits):
    train, test = digits
    one, two = (
        make_classifier("mlp", {"steps": 20}, seed=seed).fit(
            train.X, train.label, fingerprint=train.fingerprint
        )
        for seed in (0, 1)
    )
    assert not np.allclose(one.predict_proba(test.X), two.predict_proba(test.X))


def test_fits_in_threads_are_those_one_after_another(digits):
    train, test = digits

    def proba(seed):
        model = make_classifier("mlp", {"steps": 60}, seed=seed)
        return model.fit(train.X, train.label, fingerprint=train.fingerprint).predict_proba(test.X)

    alone = [proba(seed) for seed in range(4)]
    together = Parallel(4, backend="threading")(delayed(proba)(seed) for seed in range(4))
    np.testing.assert_array_equal(together, alone)


def test_mixing_in_the_hidden_layer_and_at_the_input():
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Linear(3, 5), torch.nn.GELU(), torch.nn.Dropout(0.0), torch.nn.Linear(5, 2)
    )
    a, b = torch.randn(4, 3), torch.randn(4, 3)
    hidden = 0.3 * network[1](network[0](a)) + 0.7 * network[1](network[0](b))
    torch.testing.assert_close(_mixed(network, a, b, 0.3, 1), network[3](hidden))
    torch.testing.assert_close(_mixed(network, a, b, 0.3, 0), network(0.3 * a + 0.7 * b))
    assert not torch.allclose(_mixed(network, a, b, 0.3, 0), _mixed(network, a, b, 0.3, 1))


def test_manifold_mixup_learns_and_is_less_certain(digits):
    train, test = digits
    plain, mixed = (
        make_classifier("mlp", {"manifold_mixup": alpha}).fit(
            train.X, train.label, fingerprint=train.fingerprint
        )
        for alpha in (0.0, 1.0)
    )
    assert f1_score(test.label, mixed.predict(test.X), average="macro") > 0.9
    certainty = [m.predict_proba(test.X).max(axis=1).mean() for m in (plain, mixed)]
    assert certainty[1] < certainty[0] - 0.05
