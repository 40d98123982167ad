import numpy as np
import pytest

from bloomdiff.metrics.supports import alpha_precision, beta_recall


def by_definition(real: np.ndarray, synthetic: np.ndarray) -> tuple[float, float]:
    """α-precision and β-recall, level by level from the paper's sets."""
    levels = np.linspace(0, 1, 101)

    def support(points: np.ndarray, level: float) -> tuple[np.ndarray, float]:
        centre = points.mean(axis=0)
        radii = np.sort(np.linalg.norm(points - centre, axis=1))
        within = round(level * len(points), 9)
        return centre, radii[int(within) - 1] if within >= 1 else -1.0

    cross = np.linalg.norm(real[:, None] - synthetic[None], axis=2)
    own = np.linalg.norm(real[:, None] - real[None], axis=2) + np.diag([np.inf] * len(real))
    precision, recall = [], []
    for level in levels:
        centre, radius = support(real, level)
        precision.append((np.linalg.norm(synthetic - centre, axis=1) <= radius).mean())
        centre, radius = support(synthetic, level)
        nearest = synthetic[cross.argmin(axis=1)]
        inside = np.linalg.norm(nearest - centre, axis=1) <= radius
        recall.append((inside & (cross.min(axis=1) <= own.min(axis=1))).mean())
    return tuple(
        1 - 2 * np.trapezoid(np.abs(np.array(curve) - levels), levels)
        for curve in (precision, recall)
    )


@pytest.mark.parametrize(("n", "m"), [(50, 70), (20, 20), (100, 40)])
def test_agrees_with_the_definition(n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    real, synthetic = rng.normal(size=(n, 4)), rng.normal(size=(m, 4)) * 1.2 + 0.3
    precision, recall = by_definition(real, synthetic)
    assert alpha_precision(real, synthetic) == pytest.approx(precision, rel=1e-9)
    assert beta_recall(real, synthetic) == pytest.approx(recall, rel=1e-9)


def test_good_collapsed_and_outlying_generators() -> None:
    rng = np.random.default_rng(0)
    real, good = rng.normal(size=(2, 1000, 5))
    assert alpha_precision(real, good) > 0.95
    # All mass in the core, or none of it in any support: both are off by the most possible.
    assert alpha_precision(real, good * 0.01) == pytest.approx(0, abs=0.02)
    assert alpha_precision(real, good + 100) == pytest.approx(0, abs=0.02)
    assert beta_recall(real, good) > beta_recall(real, good * 0.3) + 0.2
