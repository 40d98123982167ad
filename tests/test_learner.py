"""What every fitted method inherits: defaults of its own, and no prediction before the fit."""

import numpy as np
import pytest
from pydantic import ValidationError

from bloomdiff.classifiers import CLASSIFIERS
from bloomdiff.generators import GENERATORS
from bloomdiff.learner import Learner, LearnerParams


class RateParams(LearnerParams):
    rate: float = 0.5


class Constant(Learner[RateParams]):
    name = "constant"
    Params = RateParams

    def _state(self):
        self._check_fitted()
        return {"classes": self.classes_}

    def _restore(self, state):
        self.classes_ = state["classes"]


def test_parameters_are_the_given_ones_or_its_own_defaults():
    assert (Constant().params, Constant().seed, Constant().device) == (RateParams(), 0, "cpu")
    learner = Constant(RateParams(rate=2), seed=3, device="cuda")
    assert (learner.params.rate, learner.seed, learner.device) == (2, 3, "cuda")


def test_parameters_are_checked_and_stay_as_they_are():
    with pytest.raises(ValidationError, match="speed"):
        RateParams(speed=1)
    with pytest.raises(ValidationError, match="finite"):
        RateParams(rate=float("inf"))
    with pytest.raises(ValidationError, match="frozen"):
        Constant().params.rate = 1


def test_every_method_takes_its_own_defaults():
    methods = [registry[name] for registry in (GENERATORS, CLASSIFIERS) for name in registry]
    assert len(methods) > 20
    for method in methods:
        defaults = method.Params()
        assert method.Params(**defaults.model_dump()) == defaults


def test_before_the_fit_there_is_nothing():
    learner = Constant()
    with pytest.raises(RuntimeError, match="Constant is not fitted yet"):
        learner._state()
    learner._restore({"classes": np.array(["a"])})
    assert learner._state()["classes"] == ["a"]


def test_a_method_without_a_state_cannot_be_made():
    class Half(Learner[RateParams]):
        Params = RateParams

    with pytest.raises(TypeError, match="_restore"):
        Half()
