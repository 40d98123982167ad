import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import kernel_mmd
from torchmetrics.image.kid import poly_mmd

from bloomdiff.errors import InputError
from bloomdiff.metrics.kernels import mmd2, mmd2_score
from bloomdiff.metrics.reference import Reference
from bloomdiff.metrics.set_comparison import SetComparison


@pytest.mark.parametrize(("n", "d", "shift"), [(100, 384, 0.1), (300, 20, 0.0), (5, 3, 1.0)])
def test_cubic_kernel_agrees_with_torchmetrics(n: int, d: int, shift: float) -> None:
    rng = np.random.default_rng(n)
    X, Y = rng.normal(size=(n, d)), rng.normal(size=(n, d)) * 1.1 + shift
    expected = poly_mmd(torch.from_numpy(X), torch.from_numpy(Y)).item()
    assert mmd2(X, Y) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("n", "d", "shift"), [(100, 384, 0.1), (300, 20, 0.0), (5, 3, 1.0)])
def test_gaussian_kernel_agrees_with_torch_fidelity(n: int, d: int, shift: float) -> None:
    rng = np.random.default_rng(n)
    X, Y = rng.normal(size=(n, d)), rng.normal(size=(n, d)) * 1.1 + shift
    sigma = (2 * d) ** 0.5
    expected = kernel_mmd(X, Y, kid_kernel="rbf", kid_kernel_rbf_sigma=sigma)
    assert mmd2(X, Y, kernel="gaussian", bandwidth=sigma) == pytest.approx(expected, rel=1e-4)


def test_unequal_sizes_by_the_definition() -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(30, 4)), rng.normal(size=(17, 4)) + 0.5

    def mean(A: np.ndarray, B: np.ndarray, *, same: bool) -> float:
        K = (A @ B.T / 4 + 1) ** 3
        return K[~np.eye(len(A), dtype=bool)].mean() if same else K.mean()

    expected = mean(X, X, same=True) + mean(Y, Y, same=True) - 2 * mean(X, Y, same=False)
    assert mmd2(X, Y) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("kernel", ["cubic", "gaussian"])
def test_unbiased_around_zero_for_one_distribution(kernel: str) -> None:
    rng = np.random.default_rng(1)
    values = [mmd2(*rng.normal(size=(2, 40, 10)), kernel=kernel) for _ in range(200)]  # type: ignore[arg-type]
    error = np.std(values) / 200**0.5
    assert abs(np.mean(values)) < 3 * error
    assert np.mean(values) - 3 * error < 0 < max(values)


def test_identical_points_and_too_few() -> None:
    assert mmd2(np.ones((4, 3)), np.ones((5, 3))) == pytest.approx(0, abs=1e-5)
    assert mmd2(np.ones((4, 3)), np.ones((5, 3)), kernel="gaussian") == 0
    with pytest.raises(InputError, match="real rows: too few: needs 2, has 1"):
        mmd2(np.ones((1, 3)), np.ones((5, 3)))
    with pytest.raises(InputError, match="synthetic row 2: is not finite"):
        mmd2(np.ones((4, 3)), np.array([[0.0] * 3, [0.0] * 3, [np.inf] * 3]))


@pytest.mark.parametrize("kernel", ["cubic", "gaussian"])
def test_bootstrap_is_what_resampling_by_hand_gives(kernel: str) -> None:
    rng = np.random.default_rng(2)
    X, Y = rng.normal(size=(25, 5)), rng.normal(size=(40, 5)) + 0.4
    reference = Reference.of(X, Y, seed=0, n_bootstrap=5)
    comparison = SetComparison.of(reference, X * 1.1)
    score = mmd2_score(comparison, kernel)  # type: ignore[arg-type]
    A, B = comparison.synthetic, reference.test
    assert score.value == pytest.approx(
        mmd2(A, B, kernel=kernel, bandwidth=reference.bandwidth),  # type: ignore[arg-type]
        rel=1e-4,
    )

    def k(P: np.ndarray, Q: np.ndarray) -> np.ndarray:
        if kernel == "cubic":
            return (P @ Q.T / 5 + 1) ** 3
        d2 = ((P[:, None] - Q[None]) ** 2).sum(axis=2)
        return np.exp(-d2 / (2 * reference.bandwidth**2))

    for replicate in range(5):
        rows = np.repeat(np.arange(25), comparison.counts[:, replicate].astype(int))
        columns = np.repeat(np.arange(40), reference.test_counts[:, replicate].astype(int))
        xx, yy = rows[:, None] != rows[None], columns[:, None] != columns[None]
        expected = k(A[rows], A[rows])[xx].mean() + k(B[columns], B[columns])[yy].mean()
        expected -= 2 * k(A[rows], B[columns]).mean()
        assert score.draws[replicate] == pytest.approx(expected, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("kernel", ["cubic", "gaussian"])
def test_two_draws_of_one_slide_make_no_pairs_of_slide_mates(kernel: str) -> None:
    """The draws by hand, and their mean near the value, which slide-mates of a copy would raise."""
    rng = np.random.default_rng(3)
    slides = np.repeat(np.arange(8), [5, 9, 4, 7, 5, 6, 8, 6])
    Y = rng.normal(size=(8, 5))[slides] + rng.normal(size=(50, 5))
    X = rng.normal(size=(60, 5)) * 2**0.5
    reference = Reference.of(X, Y, test_groups=slides.astype(str), seed=0, n_bootstrap=400)
    comparison = SetComparison.of(reference, X[::-1])
    score = mmd2_score(comparison, kernel)  # type: ignore[arg-type]
    A, B = comparison.synthetic, reference.test

    def k(P: np.ndarray, Q: np.ndarray) -> np.ndarray:
        if kernel == "cubic":
            return (P @ Q.T / 5 + 1) ** 3
        d2 = ((P[:, None] - Q[None]) ** 2).sum(axis=2)
        return np.exp(-d2 / (2 * reference.bandwidth**2))

    mates = slides[:, None] == slides[None]
    for replicate in range(3):
        a, b = (c[:, replicate].astype(float) for c in (comparison.counts, reference.test_counts))
        of_pairs = np.where(mates, (1 - 1 / 8) * b[:, None], np.outer(b, b))
        np.fill_diagonal(of_pairs, 0)
        own = np.outer(a, a)
        np.fill_diagonal(own, 0)
        expected = np.average(k(A, A), weights=own) + np.average(k(B, B), weights=of_pairs)
        expected -= 2 * np.average(k(A, B), weights=np.outer(a, b))
        assert score.draws[replicate] == pytest.approx(expected, rel=1e-3, abs=1e-6)
    error = score.draws.std() / 400**0.5
    assert abs(score.draws.mean() - score.value) < 3 * error
