"""The table of the choices: gains over real cells, differences from the default, units of views."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from viewed import cells

import ablations
from bloomdiff.data.embedding_set import EmbeddingSet


def test_generator_and_classifier_work_in_the_units_of_the_views() -> None:
    parts = ablations.split(cells(120, "cell-", 0, apart=1.0), top=20, imbalance=4, seed=0)
    plain = tuple(replace(part, views=None) for part in parts)

    def macro_f1(given: tuple[EmbeddingSet, ...], name: str) -> float:
        (row,) = ablations.run_variant(name, given, [1.0], 0, "knn")
        return row["macro_f1"]

    for name in ("real only", "gaussian", "retrieval with pool"):
        assert macro_f1(parts, name) > macro_f1(plain, name) + 0.03, name


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("diffusion", [5, 18]),
        ("uniform allocation", [12, 11]),
        ("proportional allocation", [18, 5]),
    ],
)
def test_an_allocation_shares_out_the_samples(
    name: str, wanted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = ablations.split(cells(120, "cell-", 0, apart=1.0), top=18, imbalance=18 / 5, seed=0)
    assert sorted(pd.Series(parts[0].label).value_counts()) == [5, 18]
    asked = []

    def ask(_: object, labels: np.ndarray, *, seed: int) -> None:
        asked.append(pd.Series(labels).value_counts())

    monkeypatch.setitem(ablations.VARIANTS, name, ("oversample", {}, False))
    monkeypatch.setattr("bloomdiff.generators.base.Generator.synthesize", ask)
    list(ablations.run_variant(name, parts, [1.0], 0, "knn"))
    frequent = pd.Series(parts[0].label).value_counts().index
    assert [int(asked[0].get(c, 0)) for c in frequent] == wanted


def test_a_choice_is_told_beside_real_cells_and_beside_its_default() -> None:
    values = {"real only": 0.5, "smote": 0.51, "diffusion": 0.52, "guidance 2": 0.515}
    values |= {"diffusion with pool": 0.6, "pool, trust 1": 0.59}
    noise = np.random.default_rng(0).normal(0, 1e-4, size=(4, len(values)))
    rows = [
        {"data": "made", "top": 90, "imbalance": 30.0, "variant": name, "repeat": repeat}
        | {"ratio": 0.0 if name == "real only" else 1.0, "seconds": 0.5}
        | {"macro_f1": value + noise[repeat, i]}
        for repeat in range(4)
        for i, (name, value) in enumerate(values.items())
    ]
    unfinished = rows[0] | {"repeat": 4}
    told = {
        line.split(" | ")[0].removeprefix("| "): line.split(" | ")[1:]
        for line in ablations.table(pd.DataFrame([*rows, unfinished])).splitlines()
        if line.startswith("| ")
    }
    assert told["variant"] == ["gain at ratio 1", "less the default's, ratio 1", "fit, s |"]
    assert told["smote"][0].startswith("+1.0")
    assert told["smote"][1] == told["diffusion"][1] == told["diffusion with pool"][1] == ""
    assert told["guidance 2"][1].startswith("-0.5")
    assert told["pool, trust 1"][1].startswith(("-1.0", "-0.9"))
    assert "real only" not in told
