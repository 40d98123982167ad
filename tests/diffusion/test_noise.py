import numpy as np
from scipy.stats import kstest

from bloomdiff.diffusion.noise import balanced_noise


def test_each_row_is_standard_normal():
    z = balanced_noise(8 * 2000, 3, np.random.default_rng(0)).reshape(2000, 8, 3)
    for k in range(8):
        assert kstest(z[:, k].ravel(), "norm").pvalue > 0.001
        np.testing.assert_allclose(np.cov(z[:, k].T), np.eye(3), atol=0.1)


def test_every_eight_sum_to_zero_and_other_rows_are_independent():
    z = balanced_noise(8 * 2000, 2, np.random.default_rng(0)).reshape(2000, 8, 2)
    np.testing.assert_allclose(z.sum(axis=1), 0, atol=1e-5)
    within = np.corrcoef(z[:, :, 0].T)
    np.testing.assert_allclose(within[~np.eye(8, dtype=bool)], -1 / 7, atol=0.08)
    assert abs(np.corrcoef(z[:-1, 0, 0], z[1:, 0, 0])[0, 1]) < 0.08
