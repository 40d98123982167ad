import numpy as np
import pytest

from bloomdiff.errors import InputError
from bloomdiff.metrics.copying import copying_test
from bloomdiff.metrics.membership import membership_inference
from bloomdiff.metrics.memorisation import authenticity, duplicate_rate, neighbour_ratio


@pytest.fixture(scope="module")
def sets() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    train, held_out, honest = rng.normal(size=(3, 300, 10))
    copies = train[rng.integers(300, size=300)]
    blurred = copies + 0.2 * rng.normal(size=copies.shape)
    return {
        "train": train,
        "held_out": held_out,
        "honest": honest,
        "copies": copies,
        "blurred": blurred,
    }


def test_honest_rows_are_not_accused(sets: dict[str, np.ndarray]) -> None:
    train, held_out, honest = sets["train"], sets["held_out"], sets["honest"]
    assert neighbour_ratio(honest, train, held_out) == pytest.approx(1, abs=0.05)
    assert authenticity(honest, train) > 0.4
    assert duplicate_rate(honest, train) == 0


def test_copies_are_caught(sets: dict[str, np.ndarray]) -> None:
    train, held_out, copies = sets["train"], sets["held_out"], sets["copies"]
    assert neighbour_ratio(copies, train, held_out) == 0
    assert authenticity(copies, train) == 0
    assert duplicate_rate(copies, train) == 1


def test_blurred_copies_are_caught_without_being_duplicates(sets: dict[str, np.ndarray]) -> None:
    train, held_out, blurred = sets["train"], sets["held_out"], sets["blurred"]
    assert neighbour_ratio(blurred, train, held_out) < 0.6
    assert authenticity(blurred, train) < 0.1
    assert duplicate_rate(blurred, train) == 0


def test_authenticity_by_the_definition() -> None:
    train = np.array([[0.0], [1.0], [10.0]])
    # Nearest training row and its spacing: 0.4 < 1 (copy), 1.5 > 1 (authentic), 8 < 9 (copy).
    synthetic = np.array([[0.4], [2.5], [18.0]])
    assert authenticity(synthetic, train) == pytest.approx(1 / 3)


def test_ratios_at_distance_zero() -> None:
    point = np.zeros((1, 2))
    assert neighbour_ratio(point, np.zeros((2, 2)), np.zeros((2, 2))) == 1
    assert neighbour_ratio(point, np.zeros((2, 2)), np.ones((2, 2))) == 0
    assert neighbour_ratio(point, np.ones((2, 2)), np.zeros((2, 2))) == np.inf
    with pytest.raises(InputError, match="training rows: too few: needs 2, has 1"):
        authenticity(point, point)


def test_rows_of_another_encoder_are_told() -> None:
    rng = np.random.default_rng(0)
    six, four = rng.normal(size=(60, 6)), rng.normal(size=(40, 4))
    with pytest.raises(InputError, match="held-out rows: have 4 dimensions"):
        neighbour_ratio(six, six, four)
    with pytest.raises(InputError, match="held-out rows: have 4 dimensions"):
        copying_test(six, six, four, seed=0)
    with pytest.raises(InputError, match="non-member rows: have 4 dimensions"):
        membership_inference(six, six, four)
    with pytest.raises(InputError, match="reference rows: have 4 dimensions"):
        membership_inference(six, six, six, reference=four)
