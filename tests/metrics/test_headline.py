import numpy as np

from bloomdiff.metrics.headline import Comparison, adjust, headline
from bloomdiff.metrics.statistics import paired_difference

BASE = np.full((5, 5), 0.70)
WOBBLE = np.linspace(-0.004, 0.004, 5)[:, None] * np.ones((5, 5))


def comparison(
    gain: float, *, noise: float = 1.0, ratio: float = 2.0, generator: str = "diffusion"
) -> Comparison:
    difference = paired_difference(BASE + gain + noise * WOBBLE, BASE, 0.2)
    return Comparison(generator, ratio, "balanced", difference)


def test_a_gain_is_told_with_its_interval() -> None:
    assert headline([comparison(0.021)]) == (
        "diffusion: at ratio 2, balanced, macro-F1 rises by 2.1 points "
        "(95 % interval 1.5 to 2.7; 5 folds × 5 seeds; p < 0.001)"
    )


def test_the_level_is_that_of_the_intervals() -> None:
    difference = paired_difference(BASE + 0.007 + 2 * WOBBLE, BASE, 0.2, confidence=0.8)
    doubtful = Comparison("diffusion", 2.0, "balanced", difference)
    assert 0.05 < difference.p_value < 0.2
    told = headline([doubtful], confidence=0.8)
    assert "rises by 0.7 points (80 % interval" in told
    assert headline([doubtful]).startswith("no gain could be shown")


def test_noise_is_no_gain() -> None:
    sentence = headline([comparison(0.003, noise=3), comparison(0.001, noise=3, ratio=5)])
    assert sentence.startswith("no gain could be shown: the best change of macro-F1 is +0.3")
    assert "Holm-adjusted p" in sentence
    assert "over 2 comparisons" in sentence


def test_more_comparisons_need_more_evidence() -> None:
    real = comparison(0.021, noise=2)
    noise = [comparison(0.0, noise=3, ratio=r) for r in range(30)]
    assert "rises by 2.1" in headline([real])
    assert headline([real, *noise]).startswith("no gain could be shown")
    assert adjust([real, *noise])[0] > adjust([real])[0]


def test_a_loss_is_not_called_a_gain() -> None:
    assert headline([comparison(-0.05)]) == (
        "every setting loses; the mildest: diffusion: at ratio 2, balanced, macro-F1 falls by "
        "5.0 points (95 % interval 4.4 to 5.6; 5 folds × 5 seeds; p < 0.001)"
    )
    mixed = headline([comparison(-0.05), comparison(-0.001, noise=3)])
    assert mixed.startswith("no gain could be shown: the best change of macro-F1 is -0.1")
    assert mixed.endswith(
        "; 1 of 2 loses by as much as could be shown, "
        "most -5.0 points (diffusion, ratio 2, balanced)"
    )


def test_synthetic_only_one_fold_and_nothing() -> None:
    assert "at synthetic cells only, macro-F1 rises" in headline([comparison(0.02, ratio=np.inf)])
    single = Comparison("smote", 1, "uniform", paired_difference([[0.8]], [[0.7]], 0.2))
    assert headline([single]).startswith("no gain could be shown: one fold gives no interval")
    assert "nothing was compared" in headline([])
