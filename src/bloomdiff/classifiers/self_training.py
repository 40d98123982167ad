"""Self-training: logistic regression that labels the unlabelled pool for itself."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field

from bloomdiff.classifiers.base import CLASSIFIERS, ClassifierParams, Indices
from bloomdiff.classifiers.linear import LinearClassifier
from bloomdiff.classifiers.projection import principal_axes
from bloomdiff.data.embedding_set import Floats

_NO_LABEL = -1


class SelfTrainingParams(ClassifierParams):
    """Hyper-parameters of `SelfTraining`."""

    C: float = Field(
        10.0, gt=0, description="strength of the labelled rows' mean loss against the L2 penalty"
    )
    max_iter: int = Field(500, ge=1, description="L-BFGS iterations")
    selection: Literal["threshold", "k-best", "curriculum"] = Field(
        "curriculum", description="which pool rows are labelled in a round"
    )
    threshold: float = Field(
        0.75, ge=0, lt=1, description="threshold: rows of a probability above it"
    )
    k_best: int = Field(50, ge=1, description="k-best: so many of the most certain rows a round")
    rounds: int = Field(10, ge=1, description="rounds at most; curriculum: rounds to the full pool")
    n_components: int | None = Field(
        48, ge=1, description="principal components of labelled rows and pool; None for all"
    )


@CLASSIFIERS.register("self-training")
class SelfTraining(LinearClassifier):
    """Class-weighted logistic regression, trained again on what it said of the pool.

    Three ways to choose the pool rows that are believed. `threshold` and `k-best` are
    scikit-learn's `SelfTrainingClassifier` (Yarowsky 1995, doi:10.3115/981658.981684), where a row
    keeps the label that it once got. In `curriculum`, round r of R labels the pool afresh and
    believes the r / R most certain rows *of each predicted class*, so that common classes cannot
    crowd out rare ones (class-balanced self-training, Zou et al. 2018, arXiv:1810.07911; labels
    drawn anew each round as in curriculum labelling, Cascante-Bonilla et al. 2021,
    arXiv:2001.06001).

    Without a pool it is the plain logistic regression, in all dimensions. With one, `C` is
    divided by the number of labelled rows alone: rows that join later weigh as further evidence.
    """

    name = "self-training"
    Params = SelfTrainingParams
    params: SelfTrainingParams
    uses_pool = True

    def _fit(
        self, Z: Floats, y: Indices, weight: Floats, n_classes: int, pool: Floats | None
    ) -> None:
        from sklearn.linear_model import LogisticRegression as SkLogisticRegression

        model = SkLogisticRegression(
            C=self.params.C / len(Z), class_weight="balanced", max_iter=self.params.max_iter
        )
        if pool is None:
            model.fit(Z, y)
            self._keep(model.coef_, model.intercept_)
            return
        axes = principal_axes(np.concatenate([Z, pool]), self.params.n_components)
        rows, candidates = Z @ axes.T, pool @ axes.T
        learn = self._curriculum if self.params.selection == "curriculum" else self._library
        model = learn(model, rows, y, candidates)
        # A linear model on linear components is a linear model on the rows.
        self._keep(model.coef_ @ axes, model.intercept_)

    def _library(self, model: Any, rows: Floats, y: Indices, pool: Floats) -> Any:
        from sklearn.semi_supervised import SelfTrainingClassifier

        params = self.params
        taught = SelfTrainingClassifier(
            model,
            criterion="threshold" if params.selection == "threshold" else "k_best",
            threshold=params.threshold,
            k_best=min(params.k_best, len(pool)),
            max_iter=params.rounds,
        )
        unknown = np.full(len(pool), _NO_LABEL)
        taught.fit(np.concatenate([rows, pool]), np.concatenate([y, unknown]))
        return taught.estimator_

    def _curriculum(self, model: Any, rows: Floats, y: Indices, pool: Floats) -> Any:
        model.fit(rows, y)
        for number in range(1, self.params.rounds + 1):
            proba = model.predict_proba(pool)
            guess, certainty = proba.argmax(axis=1), proba.max(axis=1)
            believed = _most_certain(guess, certainty, number / self.params.rounds)
            model.fit(np.concatenate([rows, pool[believed]]), np.concatenate([y, guess[believed]]))
        return model

    @staticmethod
    def search_space(trial: Any) -> dict[str, Any]:
        """The penalty, the components, and how the pool's rows are chosen."""
        return {
            "C": trial.suggest_float("C", 0.1, 1e4, log=True),
            "n_components": trial.suggest_categorical("n_components", [24, 48, 96]),
            "selection": trial.suggest_categorical(
                "selection", ["threshold", "k-best", "curriculum"]
            ),
            "threshold": trial.suggest_float("threshold", 0.4, 0.99),
            "k_best": trial.suggest_int("k_best", 5, 200, log=True),
            "rounds": trial.suggest_int("rounds", 2, 20, log=True),
        }


def _most_certain(guess: Indices, certainty: Any, share: float) -> Indices:
    """Positions of the most certain `share` of the rows of each guessed class, rounded up."""
    chosen = []
    for index in np.unique(guess):
        rows = np.flatnonzero(guess == index)
        n = int(np.ceil(share * len(rows)))
        chosen.append(rows[np.argsort(-certainty[rows], kind="stable")[:n]])
    return np.sort(np.concatenate(chosen))
