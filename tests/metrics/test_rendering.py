"""What the scores of rendered cells say of images that show what was asked for, and of others."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from bloomdiff.errors import InputError
from bloomdiff.metrics.frechet import frechet_distance
from bloomdiff.metrics.rendering import MEASURES, Drawn, class_mates, cosines, judge_drawn

rng = np.random.default_rng(0)
LABEL = np.repeat(["blast", "monocyte"], [60, 40])
ASKED = rng.normal(size=(100, 5)) + np.where(LABEL == "blast", 3, -3)[:, None]
REAL = rng.normal(size=(80, 5))


def judged(seen, called=LABEL, asked=ASKED, label=LABEL, **more):
    drawn = Drawn("some", asked, seen, label, called, more.pop("groups", None))
    rows = judge_drawn(drawn, REAL, seed=0, n_bootstrap=200, **more)
    assert [row["measure"] for row in rows] == list(MEASURES)
    return {row["measure"]: row for row in rows}


def test_cosines_are_those_of_scikit_learn():
    A, B = rng.normal(size=(2, 7, 3))
    np.testing.assert_allclose(cosines(A, B), np.diag(cosine_similarity(A, B)))
    with pytest.raises(InputError, match="not finite"):
        cosines(A, np.full_like(B, np.nan))


def test_a_perfect_decoder_beats_its_control():
    scores = judged(ASKED)
    assert scores["cosine"]["value"] == pytest.approx(1)
    assert scores["control"]["high"] < 0.99
    assert scores["class_agreement"]["value"] == 1


def test_a_decoder_that_draws_the_class_alone_does_not():
    mates = class_mates(LABEL, np.random.default_rng(5))
    scores = judged(ASKED[mates])
    assert scores["cosine"]["low"] < scores["control"]["value"] < scores["cosine"]["high"]


def test_class_agreement_counts():
    called = np.where(np.arange(100) % 4 == 0, "neutrophil", LABEL)
    assert judged(ASKED, called)["class_agreement"]["value"] == pytest.approx(0.75)


def test_the_distance_is_that_of_equally_many_rows():
    row = judged(ASKED)["frechet"]
    assert row["n"] == 80
    assert row["low"] < row["value"] < row["high"]
    same = Drawn("real", REAL, REAL, LABEL[:80], LABEL[:80])
    assert judge_drawn(same, REAL, seed=0)[-1]["value"] == pytest.approx(0, abs=1e-9)
    every = Drawn("all", ASKED[:80], ASKED[:80], LABEL[:80], LABEL[:80])
    value = judge_drawn(every, REAL, seed=0)[-1]["value"]
    assert value == pytest.approx(frechet_distance(REAL, ASKED[:80]))


def test_cells_of_one_slide_make_the_interval_wider():
    right = np.repeat(rng.random(10) < 0.5, 10)
    called = np.where(right, LABEL, "neutrophil")
    alone = judged(ASKED, called)["class_agreement"]
    slides = judged(ASKED, called, groups=np.repeat(np.arange(10).astype(str), 10))[
        "class_agreement"
    ]
    assert slides["high"] - slides["low"] > 1.5 * (alone["high"] - alone["low"])


def test_the_only_cell_of_a_class_has_no_control():
    scores = judged(ASKED[:1], LABEL[:1], ASKED[:1], LABEL[:1])
    assert np.isnan(scores["control"]["value"])
    assert np.isnan(scores["frechet"]["value"])
    mates = class_mates(LABEL, np.random.default_rng(0))
    assert (LABEL[mates] == LABEL).all()
    assert (mates != np.arange(100)).all()


def test_fewer_than_five_slides_give_no_interval():
    few = judged(ASKED, groups=np.repeat(np.arange(4).astype(str), 25))
    for row in few.values():
        assert np.isfinite(row["value"])
        assert np.isnan([row["low"], row["high"]]).all()
