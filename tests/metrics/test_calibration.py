import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassCalibrationError

from bloomdiff.metrics.calibration import (
    brier_score,
    expected_calibration_error,
    fit_temperature,
    reject_curve,
    scale_temperature,
)


def sharpened(temperature: float, n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from known probabilities, which are then sharpened by 1 / temperature."""
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.ones(4), size=n)
    truth = (rng.random((n, 1)) > proba.cumsum(axis=1)).sum(axis=1).clip(max=3)
    return truth, scale_temperature(proba, 1 / temperature)


def test_calibration_error_agrees_with_torchmetrics() -> None:
    truth, proba = sharpened(2.0, n=500)
    oracle = MulticlassCalibrationError(num_classes=4, n_bins=15, norm="l1")
    expected = oracle(torch.from_numpy(proba), torch.from_numpy(truth)).item()
    assert expected_calibration_error(truth, proba) == pytest.approx(expected, rel=1e-4)


def test_a_planted_overconfidence_is_found_and_mended() -> None:
    truth, proba = sharpened(2.5)
    temperature = fit_temperature(truth, proba)
    assert temperature == pytest.approx(2.5, rel=0.1)
    mended = scale_temperature(proba, temperature)
    assert expected_calibration_error(truth, mended) < 0.04
    assert expected_calibration_error(truth, proba) > 0.1
    assert brier_score(truth, mended) < brier_score(truth, proba)
    assert (mended.argmax(axis=1) == proba.argmax(axis=1)).all()


def test_deferring_doubtful_cells_helps_an_honest_classifier_only() -> None:
    truth, proba = sharpened(1.0)
    curve = reject_curve(truth, proba)
    accuracies = [point["accuracy"] for point in curve]
    assert accuracies == sorted(accuracies)
    assert accuracies[-1] > accuracies[0] + 0.1
    assert curve[0]["accuracy"] == (proba.argmax(axis=1) == truth).mean()
    # Shuffled confidences know nothing: deferring them must not help.
    blind = scale_temperature(proba, 1.0)[np.random.default_rng(1).permutation(len(truth))]
    blind_curve = reject_curve(truth, blind)
    assert blind_curve[-1]["accuracy"] < blind_curve[0]["accuracy"] + 0.05


def test_coverage_must_be_a_share() -> None:
    truth, proba = sharpened(1.0, n=10)
    with pytest.raises(ValueError, match="coverage must be in"):
        reject_curve(truth, proba, coverages=(0.0,))


def test_no_order_of_rows_decides_among_cells_of_equal_confidence() -> None:
    rng = np.random.default_rng(0)
    proba = rng.multinomial(5, [0.5, 0.3, 0.2], 180) / 5
    truth = rng.integers(0, 3, 180)
    curve = reject_curve(truth, proba)
    assert reject_curve(truth[::-1], proba[::-1]) == curve
    order = np.argsort(-proba.max(axis=1) + np.where(proba.argmax(axis=1) == truth, 0, 1e-9))
    for point, other in zip(curve, reject_curve(truth[order], proba[order]), strict=True):
        assert point == pytest.approx(other)
    # By chance alone: the mean over many orders in which they might have stood.
    right, confidence = proba.argmax(axis=1) == truth, proba.max(axis=1)
    drawn = []
    for _ in range(2000):
        shuffled = rng.permutation(180)
        kept = shuffled[np.argsort(-confidence[shuffled], kind="stable")[:90]]
        drawn.append(right[kept].mean())
    assert curve[-1]["accuracy"] == pytest.approx(np.mean(drawn), abs=0.005)
