import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from bloomdiff.errors import InputError
from bloomdiff.metrics.morphology import morphology_errors

NAMES = ["diameter_um", "nc_ratio", "invisible"]


class Lab:
    """Embeddings that hold two parameters of three."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.mix = self.rng.normal(size=(2, 20))

    def cells(self, n: int, shift: float = 0.0, spread: float = 1.0) -> tuple:
        parameters = self.rng.normal(size=(n, 3)) * [spread, 1, 1] + [shift, 0, 0]
        return parameters[:, :2] @ self.mix + 0.3 * self.rng.normal(size=(n, 20)), parameters


def judge(shift: float = 0.0, spread: float = 1.0) -> dict[str, dict]:
    lab = Lab()
    (train, a), (test, b) = lab.cells(600), lab.cells(400)
    records = morphology_errors(
        lab.cells(500, shift, spread)[0],
        train,
        test,
        train_parameters=a,
        test_parameters=b,
        names=NAMES,
    )
    return {record["parameter"]: record for record in records}


def test_a_faithful_set_is_near_the_floor() -> None:
    found = judge()
    for name in NAMES[:2]:
        assert found[name]["r2"] > 0.9
        assert found[name]["error"] < 0.15
        assert found[name]["floor"] < 0.15


def test_a_planted_shift_and_a_planted_collapse_are_recovered() -> None:
    shifted = judge(shift=1.0)
    assert shifted["diameter_um"]["error"] == pytest.approx(1, abs=0.15)
    assert shifted["diameter_um"]["mean_shift"] == pytest.approx(1, abs=0.15)
    assert shifted["nc_ratio"]["error"] < 0.15
    rng = np.random.default_rng(1)
    expected = wasserstein_distance(0.2 * rng.normal(size=4000), rng.normal(size=4000))
    assert judge(spread=0.2)["diameter_um"]["error"] == pytest.approx(expected, abs=0.1)


def test_what_embeddings_do_not_hold_is_not_judged() -> None:
    record = judge()["invisible"]
    assert record["r2"] < 0.3
    assert record["error"] is None
    assert record["note"].startswith("not readable from embeddings")


def test_shapes_must_agree() -> None:
    points = np.random.default_rng(2).normal(size=(20, 3))
    with pytest.raises(InputError, match=r"training parameters: have the shape \(20, 3\)"):
        morphology_errors(
            points,
            points,
            points,
            train_parameters=points,
            test_parameters=points,
            names=["one"],
        )


def test_classes_are_judged_apart_and_small_ones_say_so() -> None:
    lab = Lab()
    (train, a), (test, b) = lab.cells(600), lab.cells(400)
    fake, _ = lab.cells(500)
    rng = np.random.default_rng(3)
    y_train, y_test = (rng.choice(["big", "small"], size=n, p=[0.99, 0.01]) for n in (600, 400))
    y_fake = np.repeat(["big", "small"], [300, 200])
    # Only the small class of the synthetic set has the wrong diameter.
    fake[300:] += 2 * lab.mix[0]
    records = morphology_errors(
        fake,
        train,
        test,
        train_parameters=a,
        test_parameters=b,
        names=NAMES,
        y_synthetic=y_fake,
        y_train=y_train,
        y_test=y_test,
    )
    found = {(r["parameter"], r["scope"]): r for r in records}
    assert len(found) == 3 * 3
    assert found["diameter_um", "all classes"]["error"] > 0.5
    assert found["diameter_um", "big"]["error"] < 0.2
    assert found["diameter_um", "small"]["error"] is None
    needed = found["diameter_um", "small"]["note"]
    assert needed == f"too few: needs 10 held-out rows, has {(y_test == 'small').sum()}"


def test_the_floor_does_not_hang_on_the_order_of_rows() -> None:
    """Rows come class by class; a model that never saw a class would misread its cells."""
    rng = np.random.default_rng(0)
    kind = np.repeat(np.arange(5), 100)
    trait = 3.0 * kind + rng.normal(size=500)
    X = np.eye(5)[kind] * trait[:, None] + 0.3 * rng.normal(size=(500, 5))
    train, test = np.arange(500) % 2 == 0, np.arange(500) % 2 == 1
    mixed = rng.permutation(250)

    def floor(order: np.ndarray) -> float:
        (record,) = morphology_errors(
            X[test],
            X[train][order],
            X[test],
            train_parameters=trait[train][order, None],
            test_parameters=trait[test][:, None],
            names=["diameter_um"],
        )
        return record["floor"]

    assert floor(np.arange(250)) < floor(mixed) + 0.02
