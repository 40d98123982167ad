"""What the sweep takes of the synthetic rows at a ratio; the leak guard has tests of its own."""

import numpy as np
import pandas as pd
import pytest

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.errors import IntegrityError, ParameterError
from bloomdiff.experiments.ratios import class_counts
from bloomdiff.experiments.sweep import draw
from bloomdiff.generators import make_generator

RATIOS = (0.0, 0.001, 0.1, 2.0, float("inf"))


@pytest.fixture(scope="module")
def cells() -> EmbeddingSet:
    label = np.repeat(["blast", "monocyte"], [30, 10])
    cell_id = [f"c{i}" for i in range(40)]
    rows = pd.DataFrame({"cell_id": cell_id, "group": cell_id, "label": label})
    X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    return EmbeddingSet(X, rows.assign(split="", source="drawn"))


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
