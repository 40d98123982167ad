"""Peers of the selection benchmark: other libraries' own implementations, with their defaults."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from bloomdiff.selection import Situation
from bloomdiff.selection.simulation import Chooser


@cache
def peers() -> dict[str, Chooser]:
    """scikit-activeml's and modAL's strategies, with their own defaults and a linear probe."""
    warnings.filterwarnings("ignore")
    from skactiveml import pool
    from skactiveml.classifier import SklearnClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def probe() -> Any:
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))

    def ask(make: Callable[[int], Any], needs: str, s: Situation, n: int) -> npt.NDArray[np.intp]:
        rng = np.random.default_rng(s.seed)
        m = len(s.y)
        if needs and len(np.unique(s.y)) < 2:  # without classes they cannot be asked
            return rng.permutation(len(s.X))[:n]
        X = np.concatenate([s.X_labelled, s.X]).astype(np.float64)
        y = np.concatenate([s.y.astype(float), np.full(len(s.X), np.nan)])
        more: dict[str, Any] = {}
        if needs:
            model = SklearnClassifier(probe(), classes=list(range(len(s.classes))))
            more = {needs: model, f"fit_{needs}": True}
        index = make(s.seed % 2**31).query(X, y, batch_size=n, **more)
        return np.asarray(index, dtype=np.intp) - m

    def modal(s: Situation, n: int) -> npt.NDArray[np.intp]:
        from modAL.models import ActiveLearner
        from modAL.uncertainty import margin_sampling

        if len(np.unique(s.y)) < 2:
            return np.random.default_rng(s.seed).permutation(len(s.X))[:n]
        learner = ActiveLearner(probe(), margin_sampling, s.X_labelled, s.y)
        index = learner.query(s.X, n_instances=n)[0]
        return np.asarray(index, dtype=np.intp)

    def small_text(s: Situation, n: int) -> npt.NDArray[np.intp]:
        from small_text import BreakingTies, SklearnClassifier, SklearnDataset

        if len(np.unique(s.y)) < 2:
            return np.random.default_rng(s.seed).permutation(len(s.X))[:n]
        m, total = len(s.y), len(s.y) + len(s.X)
        # Its data sets want labels for all rows; those of the pool are never looked at.
        y = np.concatenate([s.y, np.zeros(len(s.X), dtype=np.intp)])
        scaler = StandardScaler().fit(s.X_labelled)  # it fits with weights, which a pipeline bars
        X = scaler.transform(np.concatenate([s.X_labelled, s.X]))
        rows = SklearnDataset(X, y, np.arange(len(s.classes)))
        model = SklearnClassifier(LogisticRegression(max_iter=500), len(s.classes))
        model.fit(rows[np.arange(m)])
        asked = BreakingTies().query(
            model, rows, np.arange(m, total), np.arange(m), s.y, n=min(n, len(s.X))
        )
        return np.asarray(asked, dtype=np.intp) - m

    uncertain = pool.UncertaintySampling
    made: dict[str, tuple[Callable[[int], Any], str]] = {
        "least-confidence": (lambda r: uncertain(method="least_confident", random_state=r), "clf"),
        "margin": (lambda r: uncertain(method="margin_sampling", random_state=r), "clf"),
        "entropy": (lambda r: uncertain(method="entropy", random_state=r), "clf"),
        "k-center": (lambda r: pool.CoreSet(random_state=r), ""),
        "typiclust": (lambda r: pool.TypiClust(random_state=r), ""),
        "probcover": (lambda r: pool.ProbCover(n_classes=10, random_state=r), ""),
        "maxherding": (lambda r: pool.MaxHerding(random_state=r), ""),
        "badge": (lambda r: pool.Badge(random_state=r), "clf"),
    }
    table: dict[str, Chooser] = {
        f"skactiveml:{name}": partial(ask, make, needs) for name, (make, needs) in made.items()
    }
    table["modal:margin"] = modal
    if find_spec("small_text"):  # in no extra: its wheel also installs a package named `tests`
        table["small-text:margin"] = small_text
    return table
