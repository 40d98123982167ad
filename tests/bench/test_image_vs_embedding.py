"""The comparison's own protocol: what is scored, what is left to do, what the table says."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import image_vs_embedding as bench
from augmenters_data import Regime, divide
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.fingerprint import assert_disjoint
from image_vs_embedding_tables import NO_WEIGHTS, REAL, summarise


@pytest.fixture(scope="module")
def parts():
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c"], 60)
    X = rng.normal(size=(180, 12)) + np.repeat(2 * rng.normal(size=(3, 12)), 60, axis=0)
    rows = pd.DataFrame(
        {
            "cell_id": [f"cell-{i:03d}" for i in range(180)],
            "label": y,
            "group": [f"slide-{i // 2:02d}" for i in range(180)],
        }
    )
    cells = EmbeddingSet(X=X.astype(np.float32), rows=rows, header={"encoder": "none"})
    return divide(cells, Regime("10-shot", 10), 0)


def test_the_generator_sees_the_labelled_cells_alone_and_its_costs_are_told(parts):
    method = bench.Method("gaussian", rows=(5, 20))
    synthetic, costs = bench.drawn(method, parts, None, 0)
    assert_disjoint(parts.test.group, synthetic)
    assert synthetic.fingerprint == parts.labelled.fingerprint
    assert len(synthetic) == 60
    assert costs["fit_seconds"] > 0
    assert costs["rows_per_second"] > 0
    assert costs["fit_processor_seconds"] > 0
    assert costs["rows_per_processor_second"] > 0
    assert costs["peak_gib"] > 0


def test_the_first_rows_of_each_class_join_the_real_ones(parts, monkeypatch):
    synthetic, _ = bench.drawn(bench.Method("gaussian", rows=(20,)), parts, None, 0)
    seen = []

    def spy(real, extra, test, C, seed):
        seen.append(extra)
        return {}

    monkeypatch.setattr(bench, "evaluated", spy)
    bench.score(parts, synthetic, 3, 1.0, 0)
    bench.score(parts, None, 0, 1.0, 0)
    assert seen[1] is None
    for name in "abc":
        own = seen[0].X[seen[0].label == name]
        np.testing.assert_array_equal(own, synthetic.X[synthetic.label == name][:3])


def test_the_strength_of_the_penalty_is_chosen_without_the_test_cells(parts, monkeypatch):
    tested = []

    def spy(real, extra, test, C, seed):
        tested.extend(test.cell_id.tolist())
        return {"macro_f1": float(C == 1.0)}

    monkeypatch.setattr(bench, "evaluated", spy)
    assert bench.tuned(parts.labelled, 0) == 1.0
    assert set(tested) <= set(parts.labelled.cell_id)
    assert not set(tested) & set(parts.test.cell_id)


def test_what_is_scored_is_not_scored_again():
    options = SimpleNamespace(seeds=2, data=["phantom"], size=32, steps=7, weights=None)
    everything = list(bench.todo(options, pd.DataFrame()))
    assert len(everything) == 2 * 2 * 3
    assert everything[0][2] == 0
    assert everything[-1][2] == 1
    done = pd.DataFrame(everything[:5], columns=bench.KEY)
    assert list(bench.todo(options, done)) == everything[5:]
    # Another length of training is another method.
    options.steps = 8
    assert len(list(bench.todo(options, done))) > len(everything[5:])


def test_weights_add_a_method():
    without, given = (
        bench.methods(SimpleNamespace(size=64, steps=1, weights=weights))
        for weights in (None, "folder")
    )
    assert len(given) == len(without) + 1


def test_energy_is_the_sum_of_the_packages(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "POWERCAP", tmp_path / "absent")
    assert bench.joules() is None
    for name, value in {"intel-rapl:0": 2_000_000, "intel-rapl:1": 500_000}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text(f"{value}\n")
    monkeypatch.setattr(bench, "POWERCAP", tmp_path)
    assert bench.joules() == 2.5
    assert bench.used(1.0, 3.5, 10.0) == 2.5
    for unknown in ((None, 3.5, 10.0), (1.0, None, 10.0), (3.5, 1.0, 10.0), (1.0, 3.5, 1e4)):
        assert np.isnan(bench.used(*unknown))


def test_the_table_tells_the_paired_gain_and_what_is_not_known(tmp_path):
    rows = []
    for seed in range(4):
        told = {"data": "phantom", "regime": "10-shot", "seed": seed, "n_labelled": 100}
        told |= {"n_test": 500}
        base = 0.6 + 0.1 * seed
        rows.append({**told, "method": REAL, "rows": 0, "macro_f1": base})
        costs = {"fit_processor_seconds": 3.0, "rows_per_processor_second": 5000.0, "peak_gib": 1.0}
        for method, gain in (("diffusion", 0.05), ("image-diffusion, 64 pixels, 9 steps", -0.02)):
            score = base + gain + 0.001 * (-1) ** seed
            rows.append(
                {**told, **costs, "method": method, "rows": 40, "macro_f1": score}
                | {"fit_joules": 1500.0 if method == "diffusion" else float("nan")}
            )
    pd.DataFrame(rows).to_parquet(tmp_path / "scores.parquet")
    text = summarise(tmp_path)
    assert text == (tmp_path / "image_vs_embedding.md").read_text()
    table = {
        line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| ")
    }
    assert list(table)[1] == REAL
    assert "| 75.0 | – | – | – | – | – |" in table[REAL]
    assert "+5.0 (" in table["diffusion"]
    assert "| 3.0 | 5,000.0 | 1.0 | 1.50 |" in table["diffusion"]
    assert "-2.0 (" in table["image-diffusion, 64 pixels, 9 steps"]
    assert "cannot be read" in table["image-diffusion, 64 pixels, 9 steps"]
    assert NO_WEIGHTS in text
