"""Each method tuned inside the labelled cells with the same budget, and judged once.

The configuration with the best macro-F1 on the inner folds of the labelled cells is fitted on all
of them and judged on the test cells. Where nothing can be held out (one cell a class) the first
configuration stands.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from augmenters_data import Parts
from augmenters_methods import PLAIN, Method, Values
from bloomdiff.classifiers import CLASSIFIERS, make_classifier
from bloomdiff.data.embedding_set import EmbeddingSet, SyntheticSet
from bloomdiff.data.folds import inner_folds
from bloomdiff.data.partition import unseen_pool
from bloomdiff.data.view_whitening import ViewWhitening
from bloomdiff.generators import make_generator
from bloomdiff.generators.base import Generator
from bloomdiff.metrics.classification import score_classification

Scores = dict[str, float]


def compete(method: Method, parts: Parts, classifiers: Sequence[str], seed: int) -> Iterator[Any]:
    """Scores on the test cells, a dictionary for each classifier that the method goes with."""
    pool = parts.pool if method.pool else None
    labelled = parts.labelled
    folds = inner_folds(labelled, 2, seed)
    cheap = replace(method, params={**method.params, **method.inner})
    runs = method.runs(classifiers)
    inner = [
        Trained(
            cheap,
            labelled.take(fit),
            pool and unseen_pool(pool, labelled.take(held)),
            seed,
            runs.values(),
        )
        for fit, held in folds
    ]
    outer = Trained(method, labelled, pool, seed, runs.values())
    for column, classifier in runs.items():
        begun = time.perf_counter()
        options = method.configurations(classifier)
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


class Trained:
    """A method's generator, if it has one, fitted on labelled rows and perhaps a pool.

    Rows are drawn for the given classifiers.
    """

    def __init__(
        self,
        method: Method,
        labelled: EmbeddingSet,
        pool: EmbeddingSet | None,
        seed: int,
        classifiers: Iterable[str] = tuple(PLAIN),
    ) -> None:
        self.method, self.labelled, self.seed = method, labelled, seed
        self.pool = pool if pool is not None and len(pool) else None
        self._drawn: dict[str, SyntheticSet] = {}
        self.whitening = None if method.view_rows else ViewWhitening.of(labelled, self.pool)
        begun = time.perf_counter()
        if method.generator:
            fitted: dict[str, Generator] = {}
            drawn: dict[tuple[str, int], SyntheticSet] = {}
            unlabelled = labelled.take([]) if self.pool is None else self.pool
            for classifier in classifiers:
                params, amount = dict(method.draw(classifier)), method.amount(classifier)
                key = repr(params)
                if key not in fitted:
                    generator = make_generator(method.generator, params, seed=seed)
                    fitted[key] = generator.fit_cells(labelled, unlabelled)
                # The draw of one classifier does not depend on how much another asks for.
                if (key, amount) not in drawn:
                    asked = np.repeat(np.unique(labelled.label), amount)
                    drawn[key, amount] = fitted[key].synthesize(asked, seed=seed)
                self._drawn[classifier] = drawn[key, amount]
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
            synthetic=self.filled(level, classifier),
            classes=classes.tolist(),
            pool=self.pool if CLASSIFIERS[classifier].uses_pool else None,
            whitening=self.whitening,
        )
        proba = model.predict_on(test)
        scores = score_classification(test.label, proba, classes)
        return {name: scores[name] for name in ("macro_f1", "balanced_accuracy")}

    def filled(self, level: int, classifier: str) -> SyntheticSet | None:
        """Synthetic rows that fill every class up to `level`; None where none is missing."""
        if self.method.view_rows:
            return _views_of(self.labelled)
        synthetic = self._drawn.get(classifier)
        if synthetic is None:
            return None
        names, counts = np.unique(self.labelled.label, return_counts=True)
        missing = dict(zip(names, (level or counts.max()) - counts, strict=True))
        label = synthetic.label
        kept = [np.flatnonzero(label == name)[: max(0, n)] for name, n in missing.items()]
        rows = np.concatenate(kept)
        return synthetic.take(rows) if len(rows) else None


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
