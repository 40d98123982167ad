"""Whole slides are drawn for all classes together."""

import numpy as np
import pytest

from bloomdiff.metrics.base import METRICS
from bloomdiff.metrics.evaluation import score
from bloomdiff.metrics.kernels import mmd2
from bloomdiff.metrics.reference import Reference
from bloomdiff.metrics.set_comparison import SetComparison

METRIC = METRICS["conditional_mmd"]


def comparison(slides_of, *, seed=0, n_bootstrap=400, per_slide=6):
    """Classes whose cells are shifted by their slide, the same cells in every class."""
    rng = np.random.default_rng(seed)
    on_slide = rng.normal(size=(12, per_slide, 3)) + 1.5 * rng.normal(size=(12, 1, 3))
    X = np.concatenate([on_slide[list(slides)].reshape(-1, 3) for slides in slides_of])
    y = np.repeat([f"c{c}" for c in range(len(slides_of))], [len(s) * per_slide for s in slides_of])
    group = np.concatenate([np.repeat([f"s{i}" for i in s], per_slide) for s in slides_of])
    train, drawn = (rng.normal(size=(len(slides_of), 60, 3)) for _ in range(2))
    labels = np.repeat([f"c{c}" for c in range(len(slides_of))], 60)
    reference = Reference.of(
        train.reshape(-1, 3),
        X,
        **{"y_train": labels, "y_test": y, "test_groups": group},
        **{"seed": seed, "n_bootstrap": n_bootstrap},
    )
    return SetComparison.of(reference, drawn.reshape(-1, 3), labels)


def test_what_a_slide_does_it_does_to_all_classes():
    """Classes on nearly the same slides err together: their mean errs as much as each of them."""
    made = comparison([range(12), range(11), range(1, 12), range(10)])
    joint = np.nanstd(score(METRIC, made).draws)
    gaussian = METRICS["gaussian_mmd"]
    alone = [np.nanstd(score(gaussian, part).draws) for part in made.by_class.values()]
    assert joint > 0.85 * np.mean(alone)


def test_classes_on_slides_of_their_own_err_apart():
    made = comparison([range(6), range(6, 12)])
    joint = np.nanstd(score(METRIC, made).draws)
    gaussian = METRICS["gaussian_mmd"]
    alone = [np.nanstd(score(gaussian, part).draws) for part in made.by_class.values()]
    assert joint < 0.85 * np.mean(alone)
    assert np.isfinite(score(METRIC, made).draws).mean() > 0.99


def test_the_value_is_the_mean_of_the_classes_by_their_rows():
    made = comparison([range(12), range(6)], n_bootstrap=0)
    values = [
        mmd2(
            part.reference.test,
            part.synthetic,
            kernel="gaussian",
            bandwidth=part.reference.bandwidth,
        )
        for part in made.by_class.values()
    ]
    assert score(METRIC, made).value == pytest.approx(np.average(values, weights=[2, 1]))
