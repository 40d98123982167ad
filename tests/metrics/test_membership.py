import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from bloomdiff.metrics import METRICS
from bloomdiff.metrics.evaluation import score
from bloomdiff.metrics.membership import auc, membership_inference, true_positive_rate
from bloomdiff.metrics.reference import Reference
from bloomdiff.metrics.set_comparison import SetComparison, UnseenRows


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


def on_slides(rng: np.random.Generator, n: int, spread: float, *, cells: int = 10) -> np.ndarray:
    """Cells of `n` slides, each with an offset of its own; their groups are `slides_of`."""
    offsets = spread * rng.normal(size=(n, 10))
    return np.repeat(offsets, cells, axis=0) + rng.normal(size=(n * cells, 10))


def slides_of(n: int, *, cells: int = 10) -> np.ndarray:
    return np.repeat(np.arange(n), cells).astype(str)


ATTACKS = ("membership_auc", "membership_auc_calibrated")


@pytest.mark.parametrize("spread", [0.0, 0.5, 1.0])
def test_slides_neither_accuse_an_honest_generator_nor_lower_the_floor(spread: float) -> None:
    """Every synthetic cell is fresh, of a slide of its own. Mean of a dozen trials.

    With slide-mates in the reference the calibrated attack says 0.70 where slides are as far apart
    as their cells, and with slide-mates for neighbours the floor of the plain one is 0.29.
    """
    rng = np.random.default_rng(3)
    found = []
    for seed in range(12):
        train, test = on_slides(rng, 32, spread), on_slides(rng, 8, spread)
        honest = on_slides(rng, 320, spread, cells=1)
        reference = Reference.of(train, test, test_groups=slides_of(8), seed=seed, n_bootstrap=0)
        sets = SetComparison.of(reference, honest), UnseenRows(reference)
        found.append([[score(METRICS[name], one).value for one in sets] for name in ATTACKS])
    np.testing.assert_allclose(np.mean(found, axis=0), 0.5, atol=0.06)


def test_a_memoriser_is_caught_on_slides() -> None:
    rng = np.random.default_rng(4)
    train, test = on_slides(rng, 32, 1.0), on_slides(rng, 8, 1.0)
    reference = Reference.of(train, test, test_groups=slides_of(8), seed=0)
    copies = train[rng.integers(320, size=320)] + 0.05 * rng.normal(size=(320, 10))
    for name in ATTACKS:
        caught = score(METRICS[name], SetComparison.of(reference, copies))
        floor = score(METRICS[name], UnseenRows(reference))
        assert caught.interval()[0] > max(floor.interval()[1], 0.6), name


def test_a_cell_that_is_a_slide_of_its_own_is_a_cell_without_slide() -> None:
    rng = np.random.default_rng(5)
    train, test, synthetic = rng.normal(size=(3, 90, 4))
    names = rng.permutation(90).astype(str)
    values = []
    for groups in (None, names):
        reference = Reference.of(train, test, test_groups=groups, seed=0, n_bootstrap=0)
        sets = SetComparison.of(reference, synthetic), UnseenRows(reference)
        values.append([score(METRICS[name], one).value for name in ATTACKS for one in sets])
    assert values[0] == values[1]


def test_one_slide_cannot_be_cut_in_two() -> None:
    rng = np.random.default_rng(6)
    train, test, synthetic = rng.normal(size=(3, 60, 4))
    reference = Reference.of(train, test, test_groups=np.array(["a"] * 60), seed=0)
    for one in (SetComparison.of(reference, synthetic), UnseenRows(reference)):
        found = score(METRICS["membership_auc_calibrated"], one)
        assert np.isnan(found.value)
        assert found.note == "too few: needs 2 slides, has 1"
        assert np.isfinite(score(METRICS["membership_auc"], one).value)
