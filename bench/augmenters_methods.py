"""What the augmenters' benchmark compares: the methods and the configurations that each may choose.

A method is a generator in front of a classifier, or a classifier that makes up for few labels by
itself. Each has `BUDGET` configurations, see `augmenters_tuning`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ablations import RIVALS as SHALLOW
from generators import FEWER_TREES

BUDGET = 6
MOST = 200  # synthetic rows drawn of each class, if a method does not ask for more
LARGEST = 0  # stands for as many rows as the largest class has
Values = Mapping[str, Any]
Option = tuple[Values, int]

# Of classifiers on real cells alone; the first must do for one cell a class.
PLAIN: dict[str, list[dict[str, Any]]] = {
    "logistic": [{"C": C} for C in (10.0, 1.0, 100.0, 1000.0, 0.1, 1e4)],
    "knn": [{"k": k, "metric": m} for m in ("cosine", "euclidean") for k in (1, 3, 10)],
    "mlp": [{"dropout": d, "weight_decay": w} for w in (0.01, 1.0) for d in (0.3, 0.5, 0.0)],
}
# Behind a generator: two settings, at three numbers of synthetic rows each.
BEHIND: dict[str, list[dict[str, Any]]] = {
    "logistic": [{"C": 10.0}, {"C": 100.0}],
    "knn": [{"k": 10}, {"k": 3}],
    "mlp": [{"dropout": 0.3}, {"dropout": 0.5}],
}
FILL = (100, MOST, LARGEST)


@dataclass(frozen=True)
class Method:
    """One competitor.

    Attributes
    ----------
    name
        As the tables spell it.
    generator
        Name in the registry, or '' for a classifier by itself.
    params
        Hyper-parameters of the generator.
    inner
        Those that tuning replaces to save time: only the rows a class and the classifier are
        chosen there.
    pool
        Whether it learns from the unlabelled pool.
    behind
        For a generator: by classifier, settings of it and the level to which synthetic rows fill
        the classes; `BEHIND` and `FILL` where a classifier is not named.
    drawn
        By classifier, hyper-parameters with which the rows for it are drawn, beside `params`.
    own
        For a classifier by itself: the classifiers that it runs as, with their configurations.
    ours
        Whether it is the project's own.
    view_rows
        Whether it trains on the views of its cells as so many more cells, the usual augmentation,
        instead of whitening by them; for sets with views alone.
    """

    name: str
    generator: str = ""
    params: Values = field(default_factory=dict)
    inner: Values = field(default_factory=dict)
    pool: bool = False
    behind: Mapping[str, Sequence[Option]] = field(default_factory=dict)
    drawn: Mapping[str, Values] = field(default_factory=dict)
    own: Mapping[str, Sequence[Values]] = field(default_factory=dict)
    ours: bool = False
    view_rows: bool = False

    def runs(self, classifiers: Sequence[str]) -> dict[str, str]:
        """The classifiers that it runs as, by the column that their scores stand under.

        Methods that are classifiers by themselves are compared with the linear probe.
        """
        for name in self.own:
            if name not in PLAIN:
                return {"logistic": name}
        return {name: name for name in self.own or PLAIN if name in classifiers}

    def configurations(self, classifier: str) -> list[Option]:
        """Hyper-parameters and the level up to which synthetic rows fill the classes."""
        if not self.generator:
            return [(values, LARGEST) for values in self.own[classifier]]
        if classifier in self.behind:
            return list(self.behind[classifier])
        return [(values, level) for values in BEHIND[classifier] for level in FILL]

    def draw(self, classifier: str) -> Values:
        """Hyper-parameters of the generator that draws rows for a classifier."""
        return {**self.params, **self.drawn.get(classifier, {})}

    def amount(self, classifier: str) -> int:
        """Synthetic rows a class that are drawn, of which a configuration takes the first."""
        return max([MOST, *(level for _, level in self.behind.get(classifier, ()))])


def _adjusted(values: Sequence[Values]) -> list[dict[str, Any]]:
    return [{**v, "balance": "logit-adjustment"} for v in values]


_MANIFOLD_MIXUP = [{"manifold_mixup": a, "dropout": d} for a in (1, 2) for d in (0, 0.3, 0.5)]
_SELF_TRAINING: list[dict[str, Any]] = [
    {},
    {"C": 1.0},
    {"C": 100.0},
    {"selection": "k-best", "k_best": 100},
    {"selection": "threshold"},
    {"n_components": 96},
]
_LABEL_SPREADING: list[dict[str, Any]] = [
    {},
    {"alpha": 0.8},
    {"gamma": 5.0},
    {"gamma": 80.0},
    {"kernel": "knn", "n_neighbors": 10},
    {"kernel": "knn", "n_neighbors": 10, "alpha": 0.8},
]
_OURS: dict[bool, list[dict[str, Any]]] = {
    False: [{"shrinkage": s} for s in (None, 0.1, 0.3, 0.5, 0.7, 0.9)],
    True: [{"pool_trust": t, "shrinkage": s} for s in (None, 0.3) for t in (0.1, 0.3, 1.0)],
}
_NO_NETWORK = {"n_steps": 0}


def _filling(levels: Sequence[int], *C: float) -> dict[str, list[Option]]:
    """Configurations of the logistic regression behind a generator.

    Chosen for ours and for rivals alike, on the sets of docs/generators.md. Where a pool gives the
    rows, none of them is no choice: to add none is to throw the pool away.
    """
    return {"logistic": [({"C": value}, level) for level in levels for value in C]}


_MANY = _filling((600, 100), 1000.0, 100.0, 10.0)
_MANY_OR_NONE = _filling((600, LARGEST), 1000.0, 100.0, 10.0)
_BEHIND: dict[str, Mapping[str, Sequence[Option]]] = {
    "gaussian": _MANY_OR_NONE,
    "gmm": _MANY,
    "mixup": _MANY_OR_NONE,
    "gaussian-copula": _MANY,
}


# How far rows scatter, chosen for each classifier on the same sets: ours in the directions in which
# the classes do not differ, those of a rival as its own hyper-parameter has it.
_SCATTER: dict[str, Values] = {
    "logistic": {"nuisance_scale": 3.0},
    "knn": {"nuisance_scale": 0.3},
    "mlp": {"nuisance_scale": 3.0},
}
_DRAWN: dict[str, Mapping[str, Values]] = {
    "kde": {"logistic": {"bandwidth": 2.0}, "knn": {"bandwidth": 2.0}},
    "distribution-calibration": {"logistic": {"alpha": 3.0}},
    "jitter": {"knn": {"scale": 0.1}},
    "mixup": {"knn": {"alpha": 0.2}},
    "gaussian": {"knn": {"shrinkage": 0.1}},
}
SCATTERED, SCATTERED_POOL = "diffusion, scattered", "diffusion, scattered + pool"
VIEW_ROWS = "views as rows"
_PARAMS: dict[str, Values] = {"forest-diffusion": FEWER_TREES}
RIVALS = (*SHALLOW, "latent-ddim", "forest-diffusion", "ctgan", "tvae", "gaussian-copula")
METHODS = {
    method.name: method
    for method in (
        Method("real only", own=PLAIN),
        Method("logit adjustment", own={k: _adjusted(PLAIN[k]) for k in ("logistic", "mlp")}),
        Method(VIEW_ROWS, own=PLAIN, view_rows=True),
        Method("manifold mixup", own={"mlp": _MANIFOLD_MIXUP}),
        *(
            Method(
                name,
                name,
                _PARAMS.get(name, {}),
                behind=_BEHIND.get(name, {}),
                drawn=_DRAWN.get(name, {}),
            )
            for name in RIVALS
        ),
        Method("diffusion", "diffusion", inner=_NO_NETWORK, behind=_MANY, ours=True),
        Method(
            SCATTERED,
            "diffusion",
            inner=_NO_NETWORK,
            behind=_MANY,
            drawn=_SCATTER,
            ours=True,
        ),
        Method("diffusion classifier", own={"diffusion": _OURS[False]}, ours=True),
        Method(
            "retrieval + pool",
            "retrieval",
            pool=True,
            behind=_filling((100, MOST), 10.0, 1.0, 100.0),
        ),
        # Its first setting, better on cells of one laboratory: the rival has both.
        Method("retrieval or none + pool", "retrieval", pool=True),
        Method("self-training + pool", pool=True, own={"self-training": _SELF_TRAINING}),
        Method("label spreading + pool", pool=True, own={"label-spreading": _LABEL_SPREADING}),
        Method(
            "diffusion + pool",
            "diffusion",
            inner=_NO_NETWORK,
            pool=True,
            behind=_MANY,
            ours=True,
        ),
        Method(
            SCATTERED_POOL,
            "diffusion",
            inner=_NO_NETWORK,
            pool=True,
            behind=_MANY,
            drawn=_SCATTER,
            ours=True,
        ),
        Method("diffusion classifier + pool", pool=True, own={"diffusion": _OURS[True]}, ours=True),
    )
}
ALL_LABELS = "all labels"  # real only, on the training part with every label: the upper end
