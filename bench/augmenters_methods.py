"""What the augmenters' benchmark compares, each tuned inside with the same budget.

A method is a generator in front of a classifier, or a classifier that makes up for few labels by
itself. Each has `BUDGET` configurations; the one with the best macro-F1 on the inner folds of the
labelled cells is fitted on all of them and judged once on the test cells. Where nothing can be
held out (one cell a class) the first configuration stands.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ablations import RIVALS as SHALLOW
from augmenters_data import Parts
from bloomdiff.classifiers import CLASSIFIERS, make_classifier
from bloomdiff.data.embedding_set import EmbeddingSet, SyntheticSet
from bloomdiff.data.folds import inner_folds
from bloomdiff.data.partition import unseen_pool
from bloomdiff.data.view_whitening import ViewWhitening
from bloomdiff.generators import make_generator
from bloomdiff.metrics.classification import score_classification
from generators import FEWER_TREES

BUDGET = 6
MOST = 200  # synthetic rows drawn of each class, if a method does not ask for more
LARGEST = 0  # stands for as many rows as the largest class has
Values = Mapping[str, Any]
Scores = dict[str, float]
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


def _from_pool(levels: Sequence[int], *C: float) -> dict[str, list[Option]]:
    """Where a pool gives the rows, to add none is to throw it away: how many, not whether.

    Chosen on the sets of docs/generators.md, for ours and for the rival.
    """
    return {"logistic": [({"C": value}, level) for level in levels for value in C]}


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
        *(Method(name, name, _PARAMS.get(name, {})) for name in RIVALS),
        Method("diffusion", "diffusion", inner=_NO_NETWORK, ours=True),
        Method("diffusion classifier", own={"diffusion": _OURS[False]}, ours=True),
        Method(
            "retrieval + pool",
            "retrieval",
            pool=True,
            behind=_from_pool((100, MOST), 10.0, 1.0, 100.0),
        ),
        Method("self-training + pool", pool=True, own={"self-training": _SELF_TRAINING}),
        Method("label spreading + pool", pool=True, own={"label-spreading": _LABEL_SPREADING}),
        Method(
            "diffusion + pool",
            "diffusion",
            inner=_NO_NETWORK,
            pool=True,
            behind=_from_pool((600, 100), 1000.0, 100.0, 10.0),
            ours=True,
        ),
        Method("diffusion classifier + pool", pool=True, own={"diffusion": _OURS[True]}, ours=True),
    )
}
ALL_LABELS = "all labels"  # real only, on the training part with every label: the upper end


def compete(method: Method, parts: Parts, classifiers: Sequence[str], seed: int) -> Iterator[Any]:
    """Scores on the test cells, a dictionary for each classifier that the method goes with."""
    pool = parts.pool if method.pool else None
    labelled = parts.labelled
    folds = inner_folds(labelled, 2, seed)
    cheap = replace(method, params={**method.params, **method.inner})
    inner = [
        Trained(cheap, labelled.take(fit), pool and unseen_pool(pool, labelled.take(held)), seed)
        for fit, held in folds
    ]
    outer = Trained(method, labelled, pool, seed)
    for column, classifier in method.runs(classifiers).items():
        begun = time.perf_counter()
        options = _configurations(method, classifier)
        means = np.zeros(len(options))
        for trained, (_, held) in zip(inner, folds, strict=True):
            means += [
                trained.score(classifier, *option, labelled.take(held))["macro_f1"]
                for option in options
            ]
        best = int(means.argmax())
        yield {
            "classifier": column,
            "configuration": best,
            **outer.score(classifier, *options[best], parts.test),
            "generator_seconds": outer.seconds,
            "seconds": time.perf_counter() - begun,
        }


def _configurations(method: Method, classifier: str) -> list[Option]:
    """Hyper-parameters and the level up to which synthetic rows fill the classes."""
    if not method.generator:
        return [(values, LARGEST) for values in method.own[classifier]]
    if classifier in method.behind:
        return list(method.behind[classifier])
    return [(values, level) for values in BEHIND[classifier] for level in FILL]


class Trained:
    """A method's generator, if it has one, fitted on labelled rows and perhaps a pool."""

    def __init__(
        self, method: Method, labelled: EmbeddingSet, pool: EmbeddingSet | None, seed: int
    ) -> None:
        self.method, self.labelled, self.seed = method, labelled, seed
        self.pool = pool if pool is not None and len(pool) else None
        self.synthetic: SyntheticSet | None = None
        self.whitening = None if method.view_rows else ViewWhitening.of(labelled, self.pool)
        begun = time.perf_counter()
        if method.generator:
            generator = make_generator(method.generator, dict(method.params), seed=seed)
            generator.fit_cells(labelled, labelled.take([]) if self.pool is None else self.pool)
            levels = [level for options in method.behind.values() for _, level in options]
            asked = np.repeat(np.unique(labelled.label), max([MOST, *levels]))
            self.synthetic = generator.synthesize(asked, seed=seed)
        self.seconds = time.perf_counter() - begun

    def score(self, classifier: str, values: Values, level: int, test: EmbeddingSet) -> Scores:
        """Macro-F1 and balanced accuracy on real cells."""
        labelled = self.labelled
        classes = np.unique(np.concatenate([labelled.label, test.label]))
        model = make_classifier(classifier, dict(values), seed=self.seed)
        model.fit(
            labelled.X,
            labelled.label,
            fingerprint=labelled.fingerprint,
            synthetic=self._filled(level),
            classes=classes.tolist(),
            pool=self.pool if CLASSIFIERS[classifier].uses_pool else None,
            whitening=self.whitening,
        )
        proba = model.predict_on(test)
        scores = score_classification(test.label, proba, classes)
        return {name: scores[name] for name in ("macro_f1", "balanced_accuracy")}

    def _filled(self, level: int) -> SyntheticSet | None:
        """Synthetic rows that fill every class up to `level`; None where none is missing."""
        if self.method.view_rows:
            return _views_of(self.labelled)
        if self.synthetic is None:
            return None
        names, counts = np.unique(self.labelled.label, return_counts=True)
        missing = dict(zip(names, (level or counts.max()) - counts, strict=True))
        label = self.synthetic.label
        kept = [np.flatnonzero(label == name)[: max(0, n)] for name, n in missing.items()]
        rows = np.concatenate(kept)
        return self.synthetic.take(rows) if len(rows) else None


def _views_of(labelled: EmbeddingSet) -> SyntheticSet:
    """The views of labelled cells, as rows of their labels."""
    assert labelled.views is not None
    _, v, d = labelled.views.shape
    return SyntheticSet.make(
        labelled.views.reshape(-1, d),
        np.repeat(labelled.label, v),
        generator="views",
        seed=0,
        guidance=float("nan"),
        fingerprint=labelled.fingerprint,
    )
