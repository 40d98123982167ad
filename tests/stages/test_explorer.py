"""What the stage hands to the page: names, counts, certainties, parameters without secrets."""

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from bloomdiff.report.page import Section
from bloomdiff.stages.explorer import certainties, parameters, with_counts
from bloomdiff.stages.project import Project

ROOT = Path(__file__).parents[2]


def test_gains_by_class_have_full_names_and_numbers_of_real_cells():
    section = Section("Gain", "", ["class", "shots"], [["neutrophil_band", "9"], ["own_kind", "2"]])
    made = with_counts(section, {"neutrophil_band": {"cells": 12}})
    assert made.head == ["class", "real cells", "shots"]
    assert made.rows == [["band neutrophil", "12", "9"], ["own kind", "", "2"]]


def test_certainties_are_those_of_the_first_seed_and_of_classes_that_a_fold_has():
    rows = [
        ("none", "0", 0, "a", 0.7, 0.3),
        ("none", "0", 0, "b", 0.6, np.nan),
        ("smote", "1", 0, "b", 0.2, 0.8),
        ("smote", "1", 1, "a", 0.1, 0.9),
    ]
    table = pd.DataFrame(rows, columns=["generator", "ratio", "seed", "true", "p.a", "p.b"])
    found = certainties(table, 0)
    assert list(found) == ["real cells only", "smote, ratio 1"]
    right, sure = found["real cells only"]
    assert (right.tolist(), sure.tolist()) == ([True, False], [0.7, 0.6])
    assert found["smote, ratio 1"][0].tolist() == [True]


def test_where_studies_are_stored_is_not_told(tmp_path):
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["tune_generator"]["storage"] = "postgresql+psycopg://user:secret@host/db"
    content["tune_classifier"]["storage"] = "postgresql+psycopg://user:secret@host/db"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    told = yaml.safe_load(parameters(Project(tmp_path)))
    assert "secret" not in str(told)
    assert told["sweep"]["n_seeds"] == content["sweep"]["n_seeds"]
    assert told["tune_generator"]["n_trials"] == content["tune_generator"]["n_trials"]
    assert not {"device", "jobs", "tracking"} & set(told)
