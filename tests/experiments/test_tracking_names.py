"""Names of metrics that MLflow refuses are told under others, none over another."""

import pytest

from bloomdiff.experiments.tracking import ChildRun, pipeline_run
from bloomdiff.experiments.tracking_names import metric_names, with_metric_names

CLASSES = ["CD34+", "CD34-", "a(b)", "50 %", "x & y, z", "it's", "<b>", "p|q", "*", "$x$", "é/ü"]
PATHS = ["a//b", "/a", "a/../b", "a/", ".", "..", "../a"]


def test_signs_become_underscores_and_allowed_names_stay():
    assert metric_names(["found_1.CD34+"]) == {"found_1.CD34+": "found_1.CD34_"}
    allowed = ["macro_f1_knn", "found_1.CD34-", "area.a b", "x:y", "é/ü"]
    assert metric_names(allowed) == {name: name for name in allowed}


def test_names_that_fall_together_stay_apart_in_any_order():
    names = ["CD34+", "CD34&", "CD34_", "plain"]
    told = metric_names(names)
    assert len(set(told.values())) == len(names)
    assert (told["CD34_"], told["plain"]) == ("CD34_", "plain")
    assert told["CD34+"].startswith("CD34__")
    assert metric_names(names[::-1]) == told


def test_a_metric_has_one_name_in_all_runs():
    both = ChildRun("both", {}, {"found_1.a(": 1.0, "found_1.a)": 2.0})
    one = ChildRun("one", {}, {"found_1.a)": 3.0}, series={"s.%": {0: 1.0}})
    first, second = with_metric_names([both, one])
    assert list(first.metrics.values()) == [1.0, 2.0]
    assert list(first.metrics)[1] in second.metrics
    assert list(second.metrics.values()) == [3.0]
    assert second.series == {"s._": {0: 1.0}}


def test_the_store_takes_every_class_name(root, client, executions):
    metrics = {f"found_1.{name}": float(number) for number, name in enumerate(CLASSES)}
    metrics |= {name: float(number) for number, name in enumerate(PATHS)}
    series = ChildRun("curve", {}, {}, series={"f1.a+": {0: 0.5, 100: 0.75}})
    with pipeline_run(root, stage="simulate", experiment="test") as run:
        run.log_metrics({"found.CD34+": 0.25})
        child, curve = run.log_children([ChildRun("names", {}, metrics), series])
        opened = run.open_child("trial", {})
        run.close_child(opened, params={}, metrics={"f1.a%": 0.125}, tags={})
    told = client.get_run(child).data.metrics
    assert sorted(told.values()) == sorted(metrics.values())
    assert told["found_1.CD34_"] == 0.0
    assert told["found_1.CD34-"] == 1.0
    assert client.get_run(run.run_id).data.metrics["simulate.found.CD34_"] == 0.25
    assert client.get_run(opened).data.metrics == {"f1.a_": 0.125}
    points = client.get_metric_history(curve, "f1.a_")
    assert [(point.step, point.value) for point in points] == [(0, 0.5), (100, 0.75)]


@pytest.mark.parametrize("name", [*CLASSES, *PATHS])
def test_a_name_that_was_changed_is_not_changed_again(name):
    (told,) = metric_names([name]).values()
    assert metric_names([told]) == {told: told}
