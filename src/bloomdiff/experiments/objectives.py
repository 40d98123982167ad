"""What a study optimises, on inner validation rows of the outer training part alone.

Macro-F1 decides. A generator may also be held to the data: its samples' Fréchet distance to the
inner validation rows, as a multiple of what the real inner training rows have to them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from bloomdiff.classifiers import CLASSIFIERS, make_classifier
from bloomdiff.errors import ParameterError
from bloomdiff.experiments.inner import InnerFold, InnerFolds
from bloomdiff.experiments.ratios import Allocation, labels_wanted
from bloomdiff.experiments.studies import (
    Direction,
    Space,
    distributions,
    report,
    rest_of,
    space_table,
)
from bloomdiff.generators import GENERATORS, make_generator
from bloomdiff.generators.cell_images import CellImages
from bloomdiff.metrics.classification import score_classification
from bloomdiff.metrics.frechet import Moments, frechet_between
from bloomdiff.metrics.points import ZScore
from bloomdiff.threads import one_thread

ObjectiveName = Literal["macro_f1", "frechet", "seconds"]
DIRECTIONS: dict[ObjectiveName, Direction] = {
    "macro_f1": "maximize",
    "frechet": "minimize",
    "seconds": "minimize",
}
Objective = Callable[[Any], float | Sequence[float]]
Values = Mapping[str, Any]


def generator_objective(
    name: str,
    base: Values,
    folds: InnerFolds,
    *,
    classifier: tuple[str, Values],
    ratio: float,
    allocation: Allocation,
    seed: int,
    device: str,
    objectives: Sequence[ObjectiveName] = ("macro_f1",),
    max_frechet: float | None = None,
    images: CellImages | None = None,
) -> Objective:
    """Usefulness of a generator at one ratio, mean over the inner folds.

    The trial reports the running mean after each inner fold, so that a median pruner can stop it;
    one whose samples lie outside `max_frechet` sets no bar for the others. What `base` gives keeps
    its value; the rest of the search space is searched.

    Parameters
    ----------
    name, base
        The generator and its hyper-parameters as given.
    folds
        Of the outer training part, at least one.
    classifier
        Name and hyper-parameters of the classifier that judges.
    ratio, allocation
        Synthetic rows per real training row, and how they are shared among the classes.
    seed, device
        Of the generator and the classifier.
    objectives
        The values that a trial returns: `macro_f1`; `frechet`, the samples' Fréchet distance to
        the inner validation rows divided by that of the real inner training rows (1: as near as
        real cells); `seconds`, the wall time of fitting and sampling.
    max_frechet
        A trial whose `frechet` is larger breaks the trial's constraint; None sets none.
    images
        For a generator that needs them.
    """
    measures = max_frechet is not None or "frechet" in objectives
    nearness: dict[int, _Nearness] = {}
    space = rest_of(GENERATORS[name].search_space, base)

    def objective(trial: Any) -> float | Sequence[float]:
        values = {**base, **space(trial)}
        told: dict[ObjectiveName, list[float]] = {"macro_f1": [], "frechet": [], "seconds": []}
        for step, fold in enumerate(folds):
            begun = time.perf_counter()
            generator = make_generator(name, values, seed=seed, device=device, images=images)
            generator.fit_cells(fold.train, fold.pool)
            wanted = labels_wanted(fold.train.label, ratio, allocation)
            if not len(wanted):
                raise ParameterError(
                    "tune_generator.ratio",
                    f"{ratio:g} is less than one synthetic row beside {len(fold.train)} real cells",
                    "raise it",
                )
            synthetic = generator.synthesize(wanted, seed=seed)
            told["seconds"].append(time.perf_counter() - begun)
            if measures and len(fold.held_out) > 1:  # one cell has no covariance
                # As many of each class as the real rows: the distance depends on the numbers.
                alike = generator.synthesize(np.sort(fold.train.label), seed=seed)
                if step not in nearness:
                    nearness[step] = _Nearness(fold.train.X, fold.held_out.X)
                told["frechet"].append(nearness[step].of(alike.X))
            told["macro_f1"].append(_validate(classifier, fold, synthetic, seed, device))
            near = told["frechet"]
            if max_frechet is None or not near or np.mean(near) <= max_frechet:
                report(trial, float(np.mean(told["macro_f1"])), step)
        means = {key: float(np.mean(values)) for key, values in told.items() if values}
        for key in ("frechet", "seconds"):
            if key in means:
                trial.set_user_attr(key, means[key])
        if "frechet" in objectives and "frechet" not in means:
            raise ParameterError(
                "tune_generator.objectives",
                "name frechet, but no inner fold holds out two cells",
                "take frechet out, or lower inner_folds",
            )
        if max_frechet is not None and "frechet" in means:
            trial.set_constraint("frechet", means["frechet"] - max_frechet)
        found = [means[key] for key in objectives]
        return found if len(found) > 1 else found[0]

    return _on_one_thread(objective)


class _Nearness:
    """How near samples lie to held-out rows, beside the real training rows."""

    def __init__(self, train: Any, held_out: Any) -> None:
        self._scale = ZScore.of(train.astype(np.float64))
        self._held_out = Moments.of(self._scale(held_out.astype(np.float64)))
        self._floor = frechet_between(
            Moments.of(self._scale(train.astype(np.float64))), self._held_out
        )

    def of(self, synthetic: Any) -> float:
        """Fréchet distance as a multiple of the floor."""
        distance = frechet_between(
            Moments.of(self._scale(synthetic.astype(np.float64))), self._held_out
        )
        return distance / self._floor


def classifier_objective(
    name: str,
    base: Values,
    folds: InnerFolds,
    *,
    seed: int,
    device: str,
) -> Objective:
    """Macro-F1 of a classifier on real rows alone, mean over the inner folds.

    What `base` gives keeps its value; the rest of the search space is searched.
    """
    space = rest_of(CLASSIFIERS[name].search_space, base)

    def objective(trial: Any) -> float:
        values = {**base, **space(trial)}
        scores: list[float] = []
        for step, fold in enumerate(folds):
            scores.append(_validate((name, values), fold, None, seed, device))
            report(trial, float(np.mean(scores)), step)
        return float(np.mean(scores))

    return _on_one_thread(objective)


def _on_one_thread(objective: Objective) -> Objective:
    """The same in a stage's worker process, in the command line's and on a cluster's machine."""

    def alone(trial: Any) -> float | Sequence[float]:
        import torch  # noqa: F401 - so that it is held to one thread as well

        with one_thread():
            return objective(trial)

    return alone


def _validate(
    classifier: tuple[str, Values], fold: InnerFold, synthetic: Any, seed: int, device: str
) -> float:
    name, values = classifier
    inner, held_out = fold.train, fold.held_out
    model = make_classifier(name, dict(values), seed=seed, device=device)
    classes = sorted({*inner.label.tolist(), *held_out.label.tolist()})
    model.fit(
        inner.X,
        inner.label,
        fingerprint=inner.fingerprint,
        synthetic=synthetic,
        classes=classes,
        pool=fold.pool,
        whitening=fold.whitening,
    )
    proba = model.predict_on(held_out)
    return score_classification(held_out.label, proba, model.classes_)["macro_f1"]


def space_left(kind: type, given: Values) -> Space | None:
    """What is to be searched of a generator or classifier beside the hyper-parameters given.

    Returns
    -------
    None where that is nothing.
    """
    space = rest_of(kind.search_space, given)  # type: ignore[attr-defined]
    return space if distributions(space) else None


def search_spaces() -> list[tuple[str, str, str, str]]:
    """Every search space: kind, method, hyper-parameter, range."""
    kinds: tuple[tuple[str, Any], ...] = (("generator", GENERATORS), ("classifier", CLASSIFIERS))
    found = []
    for kind, registry in kinds:
        spaces = {name: space_left(registry[name], {}) for name in registry}
        table = space_table({name: space for name, space in spaces.items() if space})
        found += [(kind, *row) for row in table]
    return found
