"""Planted generators with known faults: each must be caught, and honest rows must not."""

import json

import numpy as np
import pytest

from bloomdiff.errors import InputError
from bloomdiff.metrics import METRICS
from bloomdiff.metrics.base import Score
from bloomdiff.metrics.controls import Controls, judge, run_controls
from bloomdiff.metrics.reference import Reference

NAMES = np.array(["BAS", "EOS", "LYT", "MON"])
SHARES = np.array([0.1, 0.2, 0.4, 0.3])


class World:
    """Four skewed classes whose distribution is known, so that a perfect generator exists."""

    def __init__(self, seed: int = 0, d: int = 24) -> None:
        self.rng = np.random.default_rng(seed)
        self.centres = self.rng.normal(size=(4, d)) * 0.8
        self.mix = self.rng.normal(size=(4, d, d)) / d**0.5

    def draw(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        y = self.rng.choice(4, size=n, p=SHARES)
        noise = self.rng.exponential(size=(n, self.centres.shape[1])) - 1
        return np.einsum("nij,nj->ni", self.mix[y], noise) + self.centres[y], NAMES[y]


@pytest.fixture(scope="module")
def fold() -> dict[str, object]:
    world = World()
    train, y_train = world.draw(500)
    test, y_test = world.draw(300)
    reference = Reference.of(train, test, y_train=y_train, y_test=y_test, seed=0)
    return {
        "world": world,
        "train": train,
        "y_train": y_train,
        "reference": reference,
        "controls": run_controls(reference, 500),
    }


def judged(fold: dict, X: np.ndarray, y: np.ndarray) -> dict[str, dict]:
    records, _ = judge(fold["reference"], X, y, fold["controls"])
    return {r["metric"]: r for r in records if r["scope"] == "all classes"}


def worse_than_floor(record: dict) -> bool:
    if record["better"] == "higher":
        return record["high"] < record["floor_low"]
    return record["low"] > record["floor_high"]


def test_every_metric_is_trustworthy_on_clean_data(fold: dict) -> None:
    X, y = fold["world"].draw(900)
    for name, record in judged(fold, X, y).items():
        if METRICS[name].checks and name != "vendi_score":
            assert record["trustworthy"], (name, record["reason"])
        assert not worse_than_floor(record), name


def test_diversity_alone_is_not_believed_on_skewed_cells(fold: dict) -> None:
    """A Gaussian is more varied than these cells: the Vendi score prefers it, and is told off."""
    X, y = fold["world"].draw(500)
    record = judged(fold, X, y)["vendi_score"]
    assert record["trustworthy"] is False
    assert record["reason"] == "scores class gaussian above real cells"


def test_a_planted_memoriser_is_caught(fold: dict) -> None:
    rng = np.random.default_rng(1)
    rows = rng.integers(500, size=900)
    X = fold["train"][rows] + 0.02 * rng.normal(size=(900, 24))
    found = judged(fold, X, fold["y_train"][rows])
    assert {name for name, r in found.items() if worse_than_floor(r)} >= {
        "neighbour_ratio",
        "authenticity",
        "copying_test",
        "membership_auc",
        "membership_auc_calibrated",
    }
    # And it looks perfect otherwise, which is why the memorisation metrics are there.
    assert not worse_than_floor(found["precision"])
    assert not worse_than_floor(found["gaussian_mmd"])


def test_planted_label_noise_is_caught(fold: dict) -> None:
    X, y = fold["world"].draw(900)
    wrong = np.random.default_rng(2).random(900) < 0.4
    noisy = np.where(wrong, np.random.default_rng(3).permutation(y), y)
    found = judged(fold, X, noisy)
    assert worse_than_floor(found["label_agreement"])
    assert worse_than_floor(found["conditional_mmd"])
    assert worse_than_floor(found["train_real_test_synthetic"])


def test_a_collapsed_and_a_shifted_generator_are_caught(fold: dict) -> None:
    X, y = fold["world"].draw(900)
    shifted = judged(fold, X + 0.5, y)
    for name in ("frechet_distance", "kernel_distance", "gaussian_mmd", "conditional_mmd"):
        assert worse_than_floor(shifted[name]), name
    means = np.stack([X[y == name].mean(axis=0) for name in NAMES])
    collapsed = means[np.searchsorted(NAMES, y)] + 0.1 * (X - X.mean(axis=0))
    found = judged(fold, collapsed, y)
    for name in ("recall", "coverage", "frechet_distance"):
        assert worse_than_floor(found[name]), name


def test_a_blind_metric_is_marked_as_not_trustworthy() -> None:
    """The verdict itself must be able to fail."""
    flat = Score(0.5, np.full(10, 0.5))
    names = ("floor", "copycat", "class_gaussian", "wrong_labels")
    blind = Controls(10, {name: dict.fromkeys(names, flat) for name in METRICS})
    assert blind.verdict(METRICS["authenticity"]) == (
        False,
        "does not tell copycat from real cells; takes class gaussian for a copycat",
    )
    assert blind.verdict(METRICS["label_agreement"])[0] is False
    assert blind.verdict(METRICS["precision"]) == (True, "")
    flattered = {**blind.scores["precision"], "class_gaussian": Score(0.9, np.full(10, 0.9))}
    fooled = Controls(10, {**blind.scores, "precision": flattered})
    assert fooled.verdict(METRICS["precision"]) == (
        False,
        "scores class gaussian above real cells",
    )
    missing = dict.fromkeys(names, Score(float("nan")))
    assert Controls(10, {"recall": missing}).verdict(METRICS["recall"])[0] is None


def test_the_table_is_plain_data(fold: dict) -> None:
    X, y = fold["world"].draw(300)
    records, _ = judge(fold["reference"], X, y)
    json.dumps(records, allow_nan=False)
    everything = [r for r in records if r["scope"] == "all classes"]
    assert {r["metric"] for r in everything} == set(METRICS)
    assert all({"floor", "copycat", "trustworthy", "reason"} <= set(r) for r in everything)
    assert all(r["n_synthetic"] <= 300 for r in everything)


def test_without_intervals_nothing_is_called_trustworthy(fold: dict) -> None:
    X, y = fold["world"].draw(200)
    reference = fold["reference"]
    bare = Reference.of(
        fold["train"],
        reference.test,
        y_train=fold["y_train"],
        y_test=reference.y_test,
        seed=0,
        n_bootstrap=0,
    )
    for record in judge(bare, X, y)[0]:
        if record["scope"] == "all classes":
            assert record["trustworthy"] is None


def test_controls_are_scored_anew_for_another_size(fold: dict) -> None:
    X, y = fold["world"].draw(200)
    _, controls = judge(fold["reference"], X, y, fold["controls"])
    assert controls.n < 200
    assert judge(fold["reference"], X, y, controls)[1] is controls


def test_a_balanced_set_is_judged_at_the_training_proportions(fold: dict) -> None:
    """Balanced classes must not count as a fault of the rows."""
    X, y = fold["world"].draw(4000)
    rows = np.concatenate([np.flatnonzero(y == name)[:300] for name in NAMES])
    found = judged(fold, X[rows], y[rows])
    assert not worse_than_floor(found["frechet_distance"])
    assert not worse_than_floor(found["gaussian_mmd"])


def test_controls_need_labels_and_rows(fold: dict) -> None:
    bare = Reference.of(fold["train"], fold["train"], seed=0)
    with pytest.raises(InputError, match="controls: need the labels"):
        run_controls(bare, 10)
    with pytest.raises(InputError, match="asked for 501 rows of 500"):
        run_controls(fold["reference"], 501)
    with pytest.raises(InputError, match="have no class in common"):
        judge(fold["reference"], fold["train"][:5], np.array(["XXX"] * 5))


def test_the_floor_of_unseen_cells_is_drawn_by_slide(fold: dict) -> None:
    """Held-out cells stand in the place of synthetic ones there; four slides say too little."""
    whole, alone = fold["reference"], fold["controls"]
    slides = np.arange(len(whole.test)) % 4
    test, y_test = World(seed=3).draw(len(whole.test))
    rows = {"y_train": fold["y_train"], "y_test": y_test, "seed": 0}
    few = run_controls(Reference.of(fold["train"], test, test_groups=slides, **rows), 500)
    for name in ("neighbour_ratio", "authenticity", "train_real_test_synthetic"):
        assert np.isfinite(alone.scores[name]["floor"].interval()).all(), name
        assert np.isnan(few.scores[name]["floor"].interval()).all(), name
        assert np.isfinite(few.scores[name]["floor"].value), name


def test_labels_of_other_rows_are_refused(fold: dict) -> None:
    X, y = fold["world"].draw(150)
    for wrong in (y[:70], np.concatenate([y, y])):
        with pytest.raises(ValueError, match=r"synthetic labels must be \(150,\)"):
            judge(fold["reference"], X, wrong)
