"""What the sweep takes of the synthetic rows at a ratio; the leak guard has tests of its own."""

import numpy as np
import pandas as pd
import pytest

from bloomdiff.data.embedding_set import EmbeddingSet, SyntheticSet
from bloomdiff.errors import IntegrityError, ParameterError
from bloomdiff.experiments import sweep
from bloomdiff.experiments.ratios import class_counts
from bloomdiff.experiments.sweep import draw
from bloomdiff.generators import make_generator

RATIOS = (0.0, 0.001, 0.1, 2.0, float("inf"))


def drawn_cells(first: int, shift: float = 0.0) -> EmbeddingSet:
    label = np.repeat(["blast", "monocyte"], [30, 10])
    cell_id = [f"c{first + i}" for i in range(40)]
    rows = pd.DataFrame({"cell_id": cell_id, "group": cell_id, "label": label})
    X = np.random.default_rng(first).normal(size=(40, 3)).astype(np.float32)
    X[label == "monocyte"] += np.float32(shift)
    return EmbeddingSet(X, rows.assign(split="", source="drawn"))


@pytest.fixture(scope="module")
def cells() -> EmbeddingSet:
    return drawn_cells(0)


@pytest.fixture(scope="module")
def synthetic(cells):
    generator = make_generator("jitter", seed=0)
    generator.fit(cells.X, cells.label, fingerprint=cells.fingerprint)
    return generator.synthesize(["blast"] * 80 + ["monocyte"] * 80, seed=0)


def taken(cells, synthetic, ratio):
    counts = class_counts(cells.label)
    return draw(synthetic, counts, ratio, "balance", seed=0, ratios=RATIOS)


@pytest.mark.parametrize(("ratio", "rows"), [(0.1, 4), (2.0, 80), (float("inf"), 80)])
def test_a_ratio_is_of_the_real_rows(cells, synthetic, ratio, rows):
    assert len(taken(cells, synthetic, ratio)) == rows


def test_a_set_of_other_seeds_or_ratios_is_refused(cells, synthetic):
    counts = class_counts(cells.label)
    for ratio, seed, told in ((20.0, 0, "80 rows of 'blast' with seed 0, not"), (1.0, 7, "0 rows")):
        with pytest.raises(IntegrityError, match=rf"has {told}.*run `dvc repro synthesize`"):
            draw(synthetic, counts, ratio, "uniform", seed=seed, ratios=RATIOS)


def test_a_ratio_of_less_than_a_row_is_refused(cells, synthetic):
    with pytest.raises(ParameterError) as error:
        taken(cells, synthetic, 0.001)
    line = str(error.value)
    assert line.startswith(
        "sweep.ratios: 0.001 is less than one synthetic row beside 40 real cells"
    )
    assert len(taken(cells, synthetic, float(line.split("ratios of ")[1].split(" ")[0]))) == 1


@pytest.fixture(scope="module")
def two_seeds(cells) -> SyntheticSet:
    generator = make_generator("jitter", seed=0)
    generator.fit(cells.X, cells.label, fingerprint=cells.fingerprint)
    labels = ["blast"] * 80 + ["monocyte"] * 80
    return SyntheticSet.concatenate([generator.synthesize(labels, seed=s) for s in (3, 4)])


def test_a_ratio_takes_the_first_rows_of_its_own_seed(cells, two_seeds):
    counts = class_counts(cells.label)
    for seed, at in ((3, 0), (4, 160)):
        taken = draw(two_seeds, counts, 2.0, "balance", seed=seed, ratios=RATIOS)
        assert class_counts(taken.label) == {"blast": 30, "monocyte": 50}
        own = two_seeds.X[at : at + 160]
        np.testing.assert_array_equal(taken.X, np.concatenate([own[:30], own[80:130]]))


@pytest.mark.parametrize(("ratio", "n_real", "n"), [(2.0, 40, 80), (float("inf"), 0, 40)])
def test_what_the_classifiers_of_a_ratio_learn_from(
    cells, two_seeds, ratio, n_real, n, monkeypatch
):
    """Real cells but for `inf`, the synthetic rows of the classifier's own seed, the pool."""
    told, make = [], sweep.make_classifier

    def spy(*args, **given):
        model = make(*args, **given)
        fit = model.fit

        def keep(X, y, **rows):
            told.append((model.seed, len(X), rows["synthetic"], rows["pool"]))
            return fit(X, y, **rows)

        model.fit = keep
        return model

    monkeypatch.setattr(sweep, "make_classifier", spy)
    pool, test = drawn_cells(100), drawn_cells(200, shift=2.0)
    options = {"ratios": [ratio], "seeds": (3, 4), "allocation": "balance", "pool": pool}
    scored = list(sweep.sweep_fold(cells, test, two_seeds, classifiers={"logistic": {}}, **options))
    for seed, one, (of, real, extra, seen) in zip((3, 4), scored, told, strict=True):
        assert (one.seed, of, real, len(extra), one.n_synthetic) == (seed, seed, n_real, n, n)
        assert set(extra.rows["seed"]) == {seed}
        assert seen is pool
        assert one.confusion.sum(axis=1).tolist() == [30, 10]  # rows are the true classes
