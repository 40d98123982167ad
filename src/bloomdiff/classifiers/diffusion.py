"""Bayes' rule with the diffusion model's class prior: a classifier of very few labelled cells."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field
from scipy.special import softmax

from bloomdiff.classifiers.base import (
    CLASSIFIERS,
    Arrays,
    Classifier,
    ClassifierParams,
    Indices,
    Probabilities,
)
from bloomdiff.data.embedding_set import Floats
from bloomdiff.diffusion.centres import Centres
from bloomdiff.diffusion.config import DiffusionConfig
from bloomdiff.diffusion.domains import classes_on_either_side
from bloomdiff.diffusion.pool import Learned, prior_with_pool
from bloomdiff.diffusion.prior import ClassPrior
from bloomdiff.diffusion.state import pack, part
from bloomdiff.diffusion.temperature import UNTESTED, held_out_temperature
from bloomdiff.diffusion.whitening import Whitening


class DiffusionParams(ClassifierParams):
    """Hyper-parameters of `DiffusionClassifier`."""

    shrinkage: float | None = Field(
        None, ge=0, le=1, description="of the within-class covariance; None: Ledoit and Wolf's"
    )
    pool_trust: float = Field(
        DiffusionConfig.pool_trust, ge=0, le=1, description="labelled rows a pool row counts for"
    )
    pool_rounds: int = Field(
        DiffusionConfig.pool_rounds, ge=1, description="rounds in which the pool is labelled"
    )
    pool_shares: float = Field(
        DiffusionConfig.pool_shares,
        ge=0,
        le=1,
        description="how far the classes have their own shares of the pool; 1 where one class is"
        " nearly everything",
    )


@CLASSIFIERS.register("diffusion")
class DiffusionClassifier(Classifier):
    """What the diffusion generator knows before its network, turned round.

    The class centres are shrunk towards one another by empirical Bayes, all classes share one
    whitening covariance, and a pool is labelled softly (`bloomdiff.diffusion`); a row belongs to
    the class whose predictive Gaussian, with the centre's uncertainty in it, makes it likeliest.
    All classes are taken as equally frequent. The log-likelihoods are divided by the temperature
    under which labelled rows, held out while the rest was learned with the same pool, are least
    surprising, `held_out_temperature`; with synthetic rows nothing can be held out, and it is
    `UNTESTED`. It is the `predict_proba` of `EmbeddingDiffusion` without a network, which on few
    rows learns nothing.
    """

    name = "diffusion"
    layout = 2  # the second has the offset of a pool from elsewhere
    Params = DiffusionParams
    params: DiffusionParams
    uses_pool = True
    # The covariance is shrunk towards a sphere in the embedding's own units, as the generator's
    # is; the whitening does the scaling.
    scales_features = False

    def _fit(
        self, Z: Floats, y: Indices, weight: Floats, n_classes: int, pool: Floats | None
    ) -> None:
        params = self.params

        def learn(Z: Floats, y: Indices) -> Learned:
            return prior_with_pool(
                Z,
                y,
                pool,
                rounds=params.pool_rounds,
                trust=params.pool_trust,
                shares=params.pool_shares,
                shrinkage=params.shrinkage,
            )

        prior, _, offset = learn(Z, y)
        state = pack("whitening", prior.whitening) | pack("centres", prior.centres)
        # What a generator drew knows the very rows that would be held out.
        temperature = UNTESTED if self._n_synthetic else held_out_temperature(Z, y, learn)
        state |= {"temperature": np.asarray(temperature), "offset": offset}
        # In the layout in which a saved state comes back: a product's last bits depend on it.
        self._restore({name: np.ascontiguousarray(array) for name, array in state.items()})

    def _proba(self, Z: Floats) -> Probabilities:
        prior = self._prior
        scores = classes_on_either_side(prior.scores, prior.log_densities, Z, self._offset)
        return np.asarray(softmax(scores / self._temperature, axis=1))

    def _state(self) -> Arrays:
        prior = pack("whitening", self._prior.whitening) | pack("centres", self._prior.centres)
        return prior | {"temperature": self._temperature, "offset": self._offset}

    def _restore(self, state: Arrays) -> None:
        whitening = Whitening(**part("whitening", state))
        self._prior = ClassPrior(whitening, Centres(**part("centres", state)))
        self._temperature, self._offset = state["temperature"], state["offset"]

    @staticmethod
    def search_space(trial: Any) -> dict[str, Any]:
        """The covariance's shrinkage, and what the pool counts for."""
        return {
            "shrinkage": trial.suggest_categorical("shrinkage", [None, 0.1, 0.3, 0.5, 0.7, 0.9]),
            "pool_trust": trial.suggest_float("pool_trust", 0.03, 1.0, log=True),
        }
