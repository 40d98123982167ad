import numpy as np
import pytest

from bloomdiff.errors import ParameterError
from bloomdiff.metrics.costs import (
    CostParams,
    cheapest_class,
    cost_matrix,
    lineage_costs,
    mean_cost,
)
from bloomdiff.validation import validated

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


CELLS = [
    *("myeloblast", "promyelocyte", "neutrophil_band", "neutrophil_segmented"),
    *("lymphocyte", "lymphocyte_atypical", "smudge_cell", "our own class"),
]


def cost(true: str, predicted: str, **params: object) -> float:
    costs = cost_matrix(CELLS, CostParams(**params))
    return costs[CELLS.index(true), CELLS.index(predicted)]


def test_defaults_follow_lineage_and_maturation() -> None:
    assert cost("neutrophil_band", "neutrophil_segmented") == 0.5
    assert cost("promyelocyte", "neutrophil_band") == 1
    assert cost("lymphocyte", "lymphocyte_atypical") == 1
    assert cost("lymphocyte", "neutrophil_band") == 3
    assert cost("smudge_cell", "our own class") == 3
    # A missed blast weighs most, a false alarm what any other lineage does.
    assert cost("myeloblast", "lymphocyte") == 10
    assert cost("lymphocyte", "myeloblast") == 3
    assert cost("myeloblast", "promyelocyte") == 0.5
    assert (np.diag(cost_matrix(CELLS, CostParams())) == 0).all()


def test_codes_of_published_sets_have_the_same_costs() -> None:
    costs = cost_matrix(["NGB", "NGS", "LYT", "MYO"], CostParams())
    assert costs[0].tolist() == [0, 0.5, 3, 1]
    assert costs[3].tolist() == [10, 10, 10, 0]


def test_a_name_and_a_code_of_one_class_cost_the_same() -> None:
    names = ["NGB", "neutrophil_band", "neutrophil_segmented", "lymphocyte"]
    for order in (names, names[::-1]):
        cost = cost_matrix(order, CostParams())
        at = [order.index(name) for name in names]
        assert cost[at[0], at[2]] == cost[at[1], at[2]] == CostParams().neighbour
        assert cost[at[2], at[0]] == cost[at[2], at[1]] == CostParams().neighbour


def test_a_pair_of_a_class_that_is_not_there_names_its_key() -> None:
    pairs = (("monocyte", "lymphocyte", 1.0), ("monocyte", "unicorn", 2.0))
    told = r"params\.yaml: report\.costs\.pairs\.1: unknown class 'unicorn'; use one of: l"
    with pytest.raises(ParameterError, match=told):
        cost_matrix(["lymphocyte", "monocyte"], CostParams(pairs=pairs))


def test_single_pairs_have_the_last_word() -> None:
    pair = ("myeloblast", "promyelocyte", 7.0)
    assert cost("myeloblast", "promyelocyte", pairs=(pair,)) == 7
    with pytest.raises(ParameterError, match="unknown class 'bland'; use one of: myeloblast"):
        cost("myeloblast", "lymphocyte", pairs=(("bland", "lymphocyte", 2.0),))


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"across": -1}, "across.*greater than or equal to 0"),
        ({"within": "dear"}, "within"),
        ({"mised_blast": 3}, "mised_blast"),
        ({"pairs": [["a", "b"]]}, "pairs"),
    ],
)
def test_bad_costs_are_one_line(given: dict, match: str) -> None:
    with pytest.raises(ParameterError, match=match) as caught:
        validated(CostParams, given, "params.yaml: report.costs")
    assert "\n" not in str(caught.value)
