import json

import numpy as np
import pytest

from bloomdiff.errors import InputError
from bloomdiff.metrics import METRICS
from bloomdiff.metrics.evaluation import evaluate_synthetic


@pytest.fixture(scope="module")
def cells() -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 6)) * 2

    def draw(counts: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        y = np.repeat(np.arange(3), counts)
        return centres[y] + rng.normal(size=(len(y), 6)), np.array(["BAS", "EOS", "LYT"])[y]

    train, y_train = draw((60, 60, 8))
    test, y_test = draw((40, 40, 4))
    synthetic, y_synthetic = draw((60, 60, 40))
    return synthetic, train, test, y_synthetic, y_train, y_test


def table(cells: tuple[np.ndarray, ...], **options: object) -> dict[tuple[str, str], dict]:
    synthetic, train, test, y_synthetic, y_train, y_test = cells
    records = evaluate_synthetic(
        synthetic,
        train,
        test,
        seed=0,
        y_synthetic=y_synthetic,
        y_train=y_train,
        y_test=y_test,
        **options,  # type: ignore[arg-type]
    )
    return {(record["metric"], record["scope"]): record for record in records}


def test_every_metric_has_a_value_inside_its_interval(cells: tuple[np.ndarray, ...]) -> None:
    found = table(cells)
    for name in METRICS:
        record = found[name, "all classes"]
        if record["value"] is None:
            assert record["note"].startswith("too few: needs"), name
            continue
        assert record["low"] <= record["value"] <= record["high"], name
    json.dumps(list(found.values()), allow_nan=False)


def test_small_classes_say_how_many_rows_they_need(cells: tuple[np.ndarray, ...]) -> None:
    found = table(cells)
    assert found["precision", "BAS"]["value"] is not None
    small = found["precision", "LYT"]
    assert small["value"] is None
    assert small["note"] == "too few: needs 20 held-out rows, has 4"
    assert (small["n_real"], small["n_synthetic"]) == (4, 40)
    assert ("conditional_mmd", "BAS") not in found


def test_a_class_that_was_never_generated_is_told(cells: tuple[np.ndarray, ...]) -> None:
    synthetic, train, test, y_synthetic, y_train, y_test = cells
    kept = y_synthetic != "EOS"
    parts = (synthetic[kept], train, test, y_synthetic[kept], y_train, y_test)
    record = table(parts)["gaussian_mmd", "EOS"]
    assert record["value"] is None
    assert record["note"] == "too few: needs 10 synthetic rows, has 0"


def test_same_seed_same_table_and_scale_does_not_matter(cells: tuple[np.ndarray, ...]) -> None:
    first = table(cells)
    assert first == table(cells)
    scale = np.array([1.0, 10, 100, 0.1, 1, 1])
    scaled = table((*(points * scale + 5 for points in cells[:3]), *cells[3:]))
    for key, record in first.items():
        if record["value"] is not None:
            assert scaled[key]["value"] == pytest.approx(record["value"], rel=1e-3, abs=1e-5), key


def test_without_bootstrap_or_labels(cells: tuple[np.ndarray, ...]) -> None:
    synthetic, train, test = cells[:3]
    records = evaluate_synthetic(synthetic, train, test, seed=0, n_bootstrap=0)
    assert {record["scope"] for record in records} == {"all classes"}
    assert all(record["low"] is None for record in records)
    agreement = next(r for r in records if r["metric"] == "label_agreement")
    assert agreement["value"] is None
    assert agreement["note"] == "needs labels"


def test_slides_widen_the_intervals(cells: tuple[np.ndarray, ...]) -> None:
    """Held-out cells of eight slides are less evidence than cells of as many slides as cells."""
    test, names = cells[2], cells[5]
    # A slide's cells resemble each other: sorted along an axis, then cut.
    slides = np.empty(len(names), dtype="<U9")
    for name in np.unique(names):
        rows = np.flatnonzero(names == name)
        order = rows[np.argsort(test[rows, 0])]
        slides[order] = np.repeat([f"slide{i}" for i in range(8)], 5)[: len(rows)]
    alone, few = table(cells), table(cells, test_groups=slides)
    for name in ("frechet_distance", "gaussian_mmd", "kernel_distance"):
        widths = [
            t[name, "all classes"]["high"] - t[name, "all classes"]["low"] for t in (alone, few)
        ]
        assert widths[1] > widths[0], name
        assert few[name, "all classes"]["value"] == alone[name, "all classes"]["value"]


def test_few_slides_give_no_interval(cells: tuple[np.ndarray, ...]) -> None:
    found = table(cells, test_groups=np.arange(len(cells[5])) % 4)
    assert found["recall", "all classes"]["low"] is None
    assert found["recall", "all classes"]["note"] == "no interval: needs 5 slides, has 4"
    assert found["precision", "all classes"]["low"] is not None
    assert found["recall", "BAS"]["low"] is None
    assert found["two_sample_accuracy", "all classes"]["low"] is None


def test_a_diverged_generator_is_judged_not_crashed_on(cells: tuple[np.ndarray, ...]) -> None:
    synthetic, train, test, y_synthetic, y_train, y_test = cells
    exploded = synthetic.astype(np.float64)
    exploded[::2] *= 1e25
    found = table((exploded, train, test, y_synthetic, y_train, y_test))
    assert found["precision", "all classes"]["value"] <= 0.5
    assert found["frechet_distance", "all classes"]["value"] > 1e40
    json.dumps(list(found.values()), allow_nan=False)


def test_constant_columns_and_identical_rows_pass(cells: tuple[np.ndarray, ...]) -> None:
    same = np.ones((30, 4))
    records = {r["metric"]: r for r in evaluate_synthetic(same, same, same, seed=0)}
    assert records["frechet_distance"]["value"] == pytest.approx(0)
    assert records["duplicate_rate"]["value"] == 1
    assert records["neighbour_ratio"]["value"] == 1


def test_rows_that_are_the_held_out_ones_are_told(cells: tuple[np.ndarray, ...]) -> None:
    _, train, test, *_ = cells
    records = {r["metric"]: r for r in evaluate_synthetic(test, train, test, seed=0)}
    assert records["neighbour_ratio"]["value"] is None
    assert records["neighbour_ratio"]["note"] == "most synthetic rows are held-out rows"


@pytest.mark.parametrize(
    ("which", "rows", "match"),
    [
        (0, np.full((9, 6), np.nan), "synthetic row 0: is not finite"),
        (0, np.ones((1, 6)), "synthetic rows: too few: needs 2, has 1"),
        (0, np.ones((9, 5)), "synthetic rows: have 5 dimensions, the real ones 6"),
        (1, np.full((9, 6), np.inf), "training row 0: is not finite"),
        (2, np.ones((9, 5)), "test rows: have 5 dimensions"),
    ],
)
def test_bad_rows_are_named(
    cells: tuple[np.ndarray, ...], which: int, rows: np.ndarray, match: str
) -> None:
    sets = list(cells[:3])
    sets[which] = rows
    with pytest.raises(InputError, match=match):
        evaluate_synthetic(*sets, seed=0)


def test_a_class_with_one_training_row_is_told_so(cells: tuple[np.ndarray, ...]) -> None:
    synthetic, train, test, y_synthetic, y_train, y_test = cells
    kept = (y_train != "EOS") | (np.cumsum(y_train == "EOS") == 1)
    parts = (synthetic, train[kept], test, y_synthetic, y_train[kept], y_test)
    assert table(parts)["gaussian_mmd", "EOS"]["note"] == "too few: needs 2 training rows, has 1"


def test_a_class_on_few_slides_does_not_take_the_others_interval() -> None:
    rng = np.random.default_rng(0)
    y_train, y_test = (np.repeat(["A", "B", "C"], n) for n in ([60, 60, 60], [48, 48, 24]))
    few = np.concatenate([np.arange(96) % 12, np.arange(24) % 4]).astype(str)

    def found(groups: np.ndarray) -> dict:
        shift = {"A": 0, "B": 2, "C": 4}
        train, test = (
            rng.normal(size=(len(y), 4)) + np.vectorize(shift.get)(y)[:, None]
            for y in (y_train, y_test)
        )
        own = (train, train, test, y_train, y_train, y_test)
        return table(own, test_groups=groups)["conditional_mmd", "all classes"]

    one = found(few)
    assert one["low"] <= one["value"] <= one["high"]
    assert one["note"] == "1 on fewer than 5 slides left out"
    assert found(np.arange(120).astype(str))["note"] == ""
    apart = np.char.add(y_test, (np.arange(120) % 4).astype(str))
    none = found(apart)
    assert none["low"] is None
    assert none["value"] is not None
    assert none["note"] == "no interval: no class is on 5 slides"


@pytest.mark.parametrize(
    "without", [("y_train",), ("y_test",), ("y_synthetic",), ("y_train", "y_test")]
)
def test_labels_of_a_part_are_no_classes(cells: tuple[np.ndarray, ...], without) -> None:
    synthetic, train, test, *labels = cells
    told = dict(zip(("y_synthetic", "y_train", "y_test"), labels, strict=True))
    told |= dict.fromkeys(without)
    records = evaluate_synthetic(synthetic, train, test, seed=0, **told)
    assert {record["scope"] for record in records} == {"all classes"}


def test_a_class_called_all_is_a_class_like_any_other(cells: tuple[np.ndarray, ...]) -> None:
    """C-NMC 2019 has the folders `all` and `hem`."""
    first = table(cells)
    *points, y_synthetic, y_train, y_test = cells
    labels = [np.where(y == "EOS", "all", y) for y in (y_synthetic, y_train, y_test)]
    renamed = table((*points, *labels))
    assert len(renamed) == len(first)
    for key in ("frechet_distance", "recall"):
        assert renamed[key, "all classes"]["value"] == first[key, "all classes"]["value"]
        assert renamed[key, "all"]["value"] == first[key, "EOS"]["value"]
    labels = [np.where(y == "EOS", "all classes", y) for y in (y_synthetic, y_train, y_test)]
    with pytest.raises(InputError, match="rename it"):
        table((*points, *labels))


def test_rows_too_far_out_for_a_cube_leave_no_number_unexplained() -> None:
    rng = np.random.default_rng(0)
    train, test, synthetic = (rng.normal(size=(2100, 4)) for _ in range(3))
    synthetic[:3] = 3e7
    records = evaluate_synthetic(synthetic, train, test, seed=0, n_bootstrap=10)
    kernel = next(r for r in records if r["metric"] == "kernel_distance")
    assert kernel["value"] > 1e30
    synthetic[:3] = 1e60
    for record in evaluate_synthetic(synthetic, train, test, seed=0, n_bootstrap=0):
        assert record["value"] is not None or record["note"], record
