"""Sections of the page: what the tables say is what is printed, and doubts are spelled out."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bloomdiff.report.classifier_section import classifier_section
from bloomdiff.report.diagrams import critical_difference, reject_curves, shot_figure
from bloomdiff.report.fidelity_sections import (
    metric_section,
    morphology_section,
    predictor_section,
)
from bloomdiff.report.page import Section
from bloomdiff.report.tables import at_ratio, change, method_name, spelled
from bloomdiff.report.usefulness_sections import (
    calibration_section,
    class_section,
    comparison_section,
    cost_section,
    differential_section,
    domain_section,
    nested_section,
    reject_section,
)

NAN = float("nan")


def estimates(real, ratio_one, ratio_two, **columns):
    """Rows as of `estimate_methods`: real-only, and one generator at two ratios."""
    rows = [("none", "0", real), ("smote", "1", ratio_one), ("smote", "2", ratio_two)]
    table = pd.DataFrame(rows, columns=["generator", "ratio", "mean"])
    gain = table["mean"] - real
    table = table.assign(low=table["mean"] - 0.1, high=table["mean"] + 0.1)
    table = table.assign(gain=gain, gain_low=gain - 0.05, gain_high=gain + 0.05, p_value=0.2)
    table.loc[0, ["gain", "gain_low", "gain_high", "p_value"]] = NAN
    return table.assign(effect_size=1.5, **columns)


def test_values_are_spelled_with_their_intervals():
    row = pd.Series({"mean": 0.712, "low": -0.02, "high": 1.04})
    assert spelled(row) == "0.712 [-0.020, 1.040]"
    assert spelled(row, scale=100, low=0, top=100) == "71.2 [0.0, 100.0]"
    assert spelled(pd.Series({"mean": 0.5, "low": NAN, "high": NAN})) == "0.500 [no interval]"
    gain = pd.Series({"gain": -0.0004, "gain_low": -0.012, "gain_high": 0.034})
    assert change(gain, "gain", scale=100) == "+0.0 [-1.2, 3.4]"
    assert change(pd.Series({"gain": NAN}), "gain") == ""
    assert method_name("none", "0") == "real cells only"
    assert method_name("smote", "inf") == "smote alone"


def test_sections_show_the_ratio_named_beforehand_alone():
    table = estimates(0.5, 0.6, 0.9)
    assert at_ratio(table, "1")["mean"].tolist() == [0.5, 0.6]
    by_class = class_section(table.assign(**{"class": "blast", "shots": 12.0}), "1")
    assert by_class.rows == [["blast", "12", "50.0", "+10.0 [5.0, 15.0]"]]
    assert by_class.head == ["class", "shots", "real only", "smote"]


def test_classifiers_stand_beside_the_primary_one():
    table = estimates(0.5, 0.6, 0.4).assign(classifier=["logistic", "diffusion", "knn"])
    names = list(table["classifier"])
    section = classifier_section(table.assign(p_holm=[NAN, 0.2, 0.04]), "logistic", names)
    assert section.rows == [
        ["logistic", "50.0 [40.0, 60.0]", "", ""],
        ["diffusion", "60.0 [50.0, 70.0]", "+10.0 [5.0, 15.0]", "0.200"],
        ["knn", "40.0 [30.0, 50.0]", "-10.0 [-15.0, -5.0]", "0.040"],
    ]
    assert "`logistic`" in section.lead
    assert section.lead.startswith("Each tuned on the training part")
    some = classifier_section(table.assign(p_holm=NAN), "logistic", ["logistic", "knn"]).lead
    assert some.startswith("As given, not tuned: `diffusion`; the others with as many trials each.")
    assert classifier_section(table.assign(p_holm=NAN), "logistic", []).lead.startswith(
        "Each as given, none tuned."
    )
    assert classifier_section(pd.DataFrame(), "logistic", names) is None


def test_calibration_and_its_absence():
    parts = [
        estimates(0.2, 0.3, 0.4).assign(score="ece"),
        estimates(0.1, 0.1, 0.1).assign(score="ece_scaled"),
        estimates(1.4, 1.5, 1.6).assign(score="temperature"),
    ]
    section = calibration_section(pd.concat(parts), "1")
    assert section.rows[1][:3] == [
        "smote, ratio 1",
        "0.300 [0.200, 0.400]",
        "0.100 [0.000, 0.200]",
    ]
    assert "No temperature" not in section.lead
    assert "No temperature" in calibration_section(parts[0], "1").lead


def test_costs_deferral_and_differentials():
    decisions = ("most probable class", "least expected cost")
    costs = pd.concat([estimates(0.5, 0.4, 0.3).assign(decision=d) for d in decisions])
    section = cost_section(costs, "1")
    assert section.head.count("change against real only") == 2
    assert section.rows[1][2] == "-0.100 [-0.150, -0.050]"
    kept = pd.concat([estimates(0.8, 0.9, 1.0).assign(coverage=c) for c in (1.0, 0.5)])
    assert reject_section(kept, "1").head == ["method", "100 %", "50 %"]
    wide = kept.assign(low=-0.2, high=1.3)
    assert reject_section(wide, "1").rows[0][1] == "80.0 [0.0, 100.0]"
    shares = pd.concat(
        [
            estimates(0.03, 0.02, 0.01).assign(score="mean_absolute_error", n_slides=7),
            estimates(0.95, 0.9, 0.9).assign(score="within_limits", n_slides=7),
        ]
    )
    section = differential_section(shares, "1")
    assert "has about 85 % inside" in section.lead
    assert "Over 7 slides" in section.lead
    assert section.rows[0][2] == "95.0 [85.0, 100.0]"
    few = differential_section(pd.DataFrame(), "1")
    assert few.lead.startswith("Too few")
    assert not few.rows


def test_the_tests_name_the_leader_and_the_critical_difference():
    table = estimates(0.5, 0.6, 0.7).assign(classifier="logistic", p_holm=0.4)
    table = table.assign(boot_gain=0.1, boot_low=0.02, boot_high=0.2, boot_p=0.03)
    section = comparison_section(table, ranks(), "1", "logistic")
    assert [row[0] for row in section.rows] == ["smote, ratio 1", "smote, ratio 2"]
    assert section.rows[0][1:] == [
        *("+10.0 [5.0, 15.0]", "0.200", "0.400", "+1.50", "+10.0 [2.0, 20.0]", "0.030"),
    ]
    assert "a leads with a mean rank of 1.20" in section.lead
    assert "Friedman's p = 0.040" in section.lead
    assert section.figures
    assert not comparison_section(table, pd.DataFrame(), "1", "logistic").figures
    two = comparison_section(table, ranks().assign(friedman_p=NAN), "1", "logistic")
    assert "Friedman" not in two.lead
    assert "nan" not in two.lead


def test_a_source_of_few_groups_has_no_interval():
    table = estimates(0.5, 0.6, 0.7).assign(
        trained_on="blood", tested_on="marrow", n=60, boot_gain=0.1
    )
    table = table.assign(pooled=0.35, pooled_low=NAN, pooled_high=NAN, boot_low=NAN, boot_high=NAN)
    section = domain_section(table, "1")
    assert section is not None
    assert section.rows[1][4:] == ["35.0 [no interval]", "+10.0 [no interval]"]


def test_a_class_without_a_training_cell_has_its_place(tmp_path, recwarn):
    rare = pd.concat([gains().assign(shots=0.0), gains()])
    for few in (rare, rare[rare["shots"] == 0]):
        shot_figure(few, tmp_path / "shots.png")
    assert not recwarn.list


def test_nothing_to_say_is_said():
    assert domain_section(pd.DataFrame(), "1") is None
    assert morphology_section(pd.DataFrame()) is None
    assert "Nothing was tuned" in nested_section(pd.DataFrame()).lead
    notes = pd.DataFrame({"metric": ["recall"], "rho": [NAN], "note": ["too few: needs 4"]})
    fidelity = pd.DataFrame({"metric": ["recall"], "verdict": ["trusted"]})
    assert predictor_section(notes, fidelity, "1").lead == "Nothing can be said: too few: needs 4."
    often = pd.DataFrame({"rho": NAN, "note": ["a rare one", "too few", "too few", ""]})
    assert predictor_section(often, fidelity, "1").lead == "Nothing can be said: too few."


def test_a_doubted_metric_is_marked_wherever_it_stands():
    fidelity = pd.DataFrame(
        {
            "metric": ["recall", "vendi_score"],
            "smote": [0.5, 20.0],
            "verdict": ["trusted", "**not trustworthy** (3 of 3 folds failed: why)"],
        }
    )
    assert metric_section(fidelity).rows[1][2].startswith("**not trustworthy**")
    found = pd.DataFrame(
        {
            "metric": ["vendi_score", "recall"],
            "rho": [0.9, 0.1],
            "low": [0.2, -0.5],
            "high": [1.0, 0.6],
            "p_adjusted": [0.01, 1.0],
            "confidence": 0.95,
            "n_generators": 6,
            "n_folds": 5,
            "note": "",
        }
    )
    section = predictor_section(found, fidelity, "1")
    assert [row[0] for row in section.rows] == ["vendi_score (not trustworthy)", "recall"]
    assert "No metric could be shown" not in section.lead
    found["p_adjusted"] = 0.6
    assert "No metric could be shown" in predictor_section(found, fidelity, "1").lead


def test_section_is_markdown():
    section = Section("T", "lead", ["a"], [["1"]], [("alt", "p.png")])
    assert section.markdown() == "## T\n\nlead\n\n![alt](p.png)\n\n| a |\n| --- |\n| 1 |"


def ranks():
    return pd.DataFrame(
        {
            "generator": ["a", "none", "b"],
            "mean_rank": [1.2, 1.8, 3.0],
            "critical_difference": 1.5,
            "friedman_p": 0.04,
            "bars": [[0], [0, 1], [1]],
        }
    )


def curves():
    parts = [estimates(0.8, 0.9, 0.9).assign(coverage=c) for c in (1.0, 0.8, 0.5)]
    return at_ratio(pd.concat(parts, ignore_index=True), "1")


def gains():
    table = at_ratio(estimates(0.5, 0.6, 0.7), "1")
    return pd.concat([table.assign(shots=s, **{"class": f"c{s}"}) for s in (4.0, 60.0)])


@pytest.mark.parametrize(
    ("draw", "table", "column"),
    [
        (critical_difference, ranks, "mean_rank"),
        (reject_curves, curves, "mean"),
        (shot_figure, gains, "gain"),
    ],
)
def test_pictures_follow_their_tables(tmp_path, draw, table, column):
    draw(table(), tmp_path / "a.png")
    draw(table(), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    draw(table().assign(**{column: lambda t: t[column] * 0.9}), tmp_path / "c.png")
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "c.png").read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        assert np.asarray(image.convert("L")).min() < 100
