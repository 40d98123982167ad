"""The stage of the cautionary protocol: empty unless asked, and never in the way of a score."""

import hashlib

import pandas as pd
import pytest
import yaml

from bloomdiff.errors import ParameterError
from bloomdiff.experiments import caution
from bloomdiff.experiments.caution import STEPS
from bloomdiff.report.caution_section import TITLE, caution_section
from bloomdiff.stages import run_stage
from bloomdiff.stages.project import Project

OWN = ("reports/caution.parquet", "mlruns/", ".bloomdiff/", "params.yaml")


def set_params(project, **values):
    content = yaml.safe_load((project.root / "params.yaml").read_text())
    for key, value in values.items():
        block = content
        *parents, last = key.split("__")
        for parent in parents:
            block = block[parent]
        block[last] = value
    (project.root / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return Project(project.root)


def files_of(project):
    found = {}
    for path in sorted(project.root.rglob("*")):
        name = path.relative_to(project.root).as_posix()
        if path.is_file() and not name.startswith(OWN):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


@pytest.fixture
def tuned(project):
    """The project with hyper-parameters, none of them searched for."""
    made = set_params(
        project,
        tune_generator__enabled=False,
        tune_classifier__enabled=False,
        sweep__ratios=[0, 1],
        sweep__n_seeds=2,
        sweep__calibration_folds=0,
        report__ratio=1,
    )
    for stage in ("tune_generator", "tune_classifier"):
        run_stage(stage, made.root)
    return made


def test_honest_is_the_default_and_leaves_an_empty_table(tuned, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("the honest protocol reached the door")

    assert tuned.params.protocol == "honest"
    monkeypatch.setattr("bloomdiff.stages.caution.leaking_claims", never)
    monkeypatch.setattr(caution, "leaking_claims", never)
    for stage in ("fit_generator", "synthesize", "classify", "caution"):
        run_stage(stage, tuned.root)
    table = pd.read_parquet(tuned.caution)
    assert table.empty
    assert caution_section(table) is None


def test_what_is_claimed_stands_beside_scores_that_stay_what_they_are(tuned):
    for stage in ("fit_generator", "synthesize", "classify"):
        run_stage(stage, tuned.root)
    before = files_of(tuned)
    leaking = set_params(tuned, protocol="cytodiff-2025")
    run_stage("caution", leaking.root)
    assert files_of(leaking) == before
    table = pd.read_parquet(leaking.caution)
    assert "macro_f1" not in table.columns
    assert table["claimed"].between(0, 1).all()
    keys = ["fold", "generator", "seed"]
    assert not table.duplicated([*keys, "step"]).any()
    scores = pd.read_parquet(leaking.scores / "scores.parquet")
    own = scores[(scores["ratio"] == "1") & (scores["classifier"] == "logistic")]
    assert set(map(tuple, table[keys].to_numpy())) == set(map(tuple, own[keys].to_numpy()))
    first = table[table["step"] == STEPS[0]].merge(own, on=keys)
    assert (first["n_train_x"] == first["n_train_y"] + first["n_synthetic"]).all()
    assert (first["n_test"] == first["n"]).all()
    # The same again, bit by bit, and nothing of the leaking fits is left behind.
    run_stage("caution", leaking.root)
    pd.testing.assert_frame_equal(pd.read_parquet(leaking.caution), table)
    assert not (leaking.working / "caution").exists()


def test_what_it_cannot_re_enact_is_refused(project):
    few = set_params(project, protocol="cytodiff-2025", prepare__folds__shots_per_class=5)
    with pytest.raises(ParameterError, match="divides all labelled cells"):
        _ = few.params
    alone = set_params(
        project,
        prepare__folds__shots_per_class=None,
        sweep__ratios=[0, 1, float("inf")],
        report__ratio=float("inf"),
    )
    with pytest.raises(ParameterError, match=r"report\.ratio must be finite"):
        _ = alone.params
    unknown = set_params(project, protocol="optimistic", report__ratio=1)
    with pytest.raises(ParameterError, match="protocol"):
        _ = unknown.params


def test_the_section_says_that_it_is_no_result():
    row = {"generator": "smote", "ratio": "1", "n_folds": 3}
    row |= {"honest": 0.6, "honest_low": 0.5, "honest_high": 0.7}
    row |= {"claimed": 0.9, "claimed_low": 0.85, "claimed_high": 1.2}
    for name, value in (("inflation", 0.3), *zip(STEPS, (0.1, -0.05, 0.25), strict=True)):
        row |= {name: value, f"{name}_low": value - 0.02, f"{name}_high": value + 0.02}
    section = caution_section(pd.DataFrame([row]))
    assert section.title == TITLE
    assert section.lead.startswith("**A caution, not a result of this report**")
    assert section.rows == [
        [
            "smote, ratio 1",
            "60.0 [50.0, 70.0]",
            "90.0 [85.0, 100.0]",
            "+30.0 [28.0, 32.0]",
            "+10.0 [8.0, 12.0]",
            "-5.0 [-7.0, -3.0]",
            "+25.0 [23.0, 27.0]",
        ]
    ]
    assert len(section.head) == len(section.rows[0])
