import numpy as np
import pytest

from bloomdiff.errors import ParameterError
from bloomdiff.metrics.costs import cheapest_class, lineage_costs, mean_cost

CLASSES = ["BLA", "LYT", "NGB", "NGS", "ART"]
LINEAGES = {"granulocytes": ["NGB", "NGS"], "lymphoid": ["LYT"]}


def test_a_missed_blast_weighs_more_than_a_band_called_segmented() -> None:
    costs = lineage_costs(CLASSES, LINEAGES, overrides=[("BLA", "LYT", 10.0)])
    assert costs.tolist() == [
        [0, 10, 3, 3, 3],
        [3, 0, 3, 3, 3],
        [3, 3, 0, 1, 3],
        [3, 3, 1, 0, 3],
        [3, 3, 3, 3, 0],
    ]
    blast, band = np.diag([9, 9, 9, 9, 9]), np.diag([9, 9, 9, 9, 9])
    blast[0, 1] += 5
    band[2, 3] += 5
    assert mean_cost(blast, costs) == 1.0
    assert mean_cost(band, costs) == 0.1
    assert mean_cost(np.diag([1] * 5), costs) == 0


def test_uniform_costs_give_the_error_rate() -> None:
    confusion = np.random.default_rng(0).integers(0, 20, size=(5, 5))
    costs = lineage_costs(CLASSES, {}, across=1.0)
    error = 1 - np.trace(confusion) / confusion.sum()
    assert mean_cost(confusion, costs) == pytest.approx(error)


def test_the_cheapest_class_is_not_always_the_likeliest() -> None:
    costs = lineage_costs(["BLA", "LYT"], {}, across=1, overrides=[("BLA", "LYT", 10)])
    proba = np.array([[0.2, 0.8], [0.05, 0.95]])
    assert cheapest_class(proba, costs).tolist() == [0, 1]
    assert (cheapest_class(proba, 1 - np.eye(2)) == proba.argmax(axis=1)).all()


@pytest.mark.parametrize(
    ("lineages", "overrides", "match"),
    [
        ({"x": ["XXX"]}, [], "lineage 'x': unknown class 'XXX'; use one of: BLA"),
        ({"x": ["BLA"], "y": ["BLA"]}, [], "class 'BLA' is in two lineages"),
        ({}, [("BLA", "YYY", 1.0)], "cost override: unknown class 'YYY'"),
        ({}, [("BLA", "LYT", -1.0)], "a cost is below zero"),
    ],
)
def test_bad_matrices_are_refused(lineages: dict, overrides: list, match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        lineage_costs(CLASSES, lineages, overrides=overrides)
    with pytest.raises(ValueError, match="disagree"):
        mean_cost(np.eye(3, dtype=int), np.eye(2))
