import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from bloomdiff.metrics.membership import auc, membership_inference, true_positive_rate


def test_auc_and_rate_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    members, others = rng.normal(size=300).round(1) + 0.8, rng.normal(size=500).round(1)
    truth = np.repeat([1, 0], [300, 500])
    scores = np.concatenate([members, others])
    assert auc(members, others) == pytest.approx(roc_auc_score(truth, scores), rel=1e-12)
    false, true, _ = roc_curve(truth, scores, drop_intermediate=False)
    assert true_positive_rate(members, others) == pytest.approx(true[false <= 0.01].max())


def test_a_memoriser_leaks_and_an_honest_generator_does_not() -> None:
    rng = np.random.default_rng(1)
    members, others, honest, reference = rng.normal(size=(4, 400, 8))
    copies = members[rng.permutation(400)[:300]] + 0.05 * rng.normal(size=(300, 8))
    for population in (None, reference):
        leak = membership_inference(copies, members, others, reference=population)
        assert leak["auc"] > 0.8
        assert leak["tpr_at_1_percent_fpr"] > 0.5
        fair = membership_inference(honest, members, others, reference=population)
        assert fair["auc"] == pytest.approx(0.5, abs=0.07)
        assert fair["tpr_at_1_percent_fpr"] < 0.06


def test_a_reference_clears_rows_of_dense_regions() -> None:
    """Members that are ordinary rows are no leak; the plain attack is misled by density."""
    rng = np.random.default_rng(2)
    members = rng.normal(size=(400, 4)) * 0.3
    others = rng.normal(size=(400, 4)) * 1.5
    population = np.vstack([rng.normal(size=(400, 4)) * 0.3, rng.normal(size=(400, 4)) * 1.5])
    synthetic = np.vstack([rng.normal(size=(400, 4)) * 0.3, rng.normal(size=(400, 4)) * 1.5])
    plain = membership_inference(synthetic, members, others)
    fair = membership_inference(synthetic, members, others, reference=population)
    assert plain["auc"] > 0.9
    assert fair["auc"] == pytest.approx(0.5, abs=0.1)


def test_rows_met_exactly_do_not_divide_by_zero() -> None:
    points = np.eye(5)
    found = membership_inference(points, points, points + 9, reference=points + 9)
    assert found == {"auc": 1.0, "tpr_at_1_percent_fpr": 1.0}
