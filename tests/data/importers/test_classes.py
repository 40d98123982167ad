from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bloomdiff.data.importers import ClassRules
from bloomdiff.data.validate import validate_manifest
from bloomdiff.errors import InputError, ParameterError


@pytest.fixture
def lab(tmp_path: Path, paint) -> Path:
    for label in ("band", "segmented", "smudge"):
        paint(tmp_path / "lab" / label / f"{label}.png")
    return tmp_path / "lab"


def test_dropped_classes_are_not_even_read(lab: Path, load) -> None:
    (lab / "smudge" / "smudge.png").write_bytes(b"no image")
    cells = load("folder", lab, classes=ClassRules(drop=("smudge",)))
    assert cells["label"].tolist() == ["band", "segmented"]


@pytest.mark.parametrize("rules", [ClassRules(keep=("band",)), ClassRules(drop=("segmented",))])
def test_cells_without_a_label_stay_whatever_is_kept(
    tmp_path: Path, paint, load, rules: ClassRules
) -> None:
    for name in ("a", "b", "c"):
        paint(tmp_path / f"{name}.png")
    rows = ["path,label", "a.png,band", "b.png,segmented", "c.png,"]
    (tmp_path / "cells.csv").write_text("\n".join(rows) + "\n")
    assert sorted(load("csv", tmp_path / "cells.csv", classes=rules)["label"]) == ["", "band"]


def test_a_folder_of_unlabelled_cells_is_no_class(lab: Path, load) -> None:
    (lab / "band").rename(lab / "Unlabelled")
    with pytest.raises(InputError, match=r"label 'Unlabelled' is no class.* --map Unlabelled="):
        load("folder", lab)
    cells = load("folder", lab, classes=ClassRules(rename={"Unlabelled": ""}))
    assert sorted(cells["label"]) == ["", "segmented", "smudge"]


def test_kept_and_renamed(lab: Path, load) -> None:
    rules = ClassRules(
        keep=("band", "segmented"), rename={"band": "neutrophil", "segmented": "neutrophil"}
    )
    assert load("folder", lab, classes=rules)["label"].tolist() == ["neutrophil"] * 2


@pytest.mark.parametrize(
    "rules",
    [ClassRules(keep=("bend",)), ClassRules(drop=("bend",)), ClassRules(rename={"bend": "x"})],
)
def test_slips_in_names_are_told_and_nothing_is_written(lab: Path, load, rules: ClassRules) -> None:
    with pytest.raises(
        ParameterError, match="class 'bend': is not in the data; did you mean 'band'"
    ):
        load("folder", lab, classes=rules)
    assert not (lab.parent / "out").exists()


def table(**labels: list[str]) -> pd.DataFrame:
    rows = [(source, label) for source, names in labels.items() for label in names]
    return pd.DataFrame(rows, columns=["source", "label"])


def common(**labels: list[str]) -> list[str]:
    return ClassRules(common=True).keep_common(table(**labels))["label"].tolist()


def test_codes_of_two_sources_meet_under_the_common_name() -> None:
    assert common(one=["EOS", "MON", "KSC"], two=["EOSINOPHIL", "mo", "platelet"]) == [
        "eosinophil",
        "monocyte",
        "eosinophil",
        "monocyte",
    ]


def test_the_finer_source_is_coarsened_to_the_other() -> None:
    assert common(one=["NGB", "NGS", "BAS"], two=["neutrophil"]) == ["neutrophil"] * 3


def test_a_code_that_all_share_gets_its_common_name() -> None:
    assert common(one=["EOS"], two=["EOS"]) == ["eosinophil"] * 2


def test_a_laboratorys_own_name_is_common_where_all_have_it() -> None:
    assert common(one=["Odd", "EOS"], two=["Odd"], three=["Odd", "x"]) == ["Odd"] * 3


def test_cells_without_a_label_stay() -> None:
    assert common(one=["EOS", ""], two=["EO"]) == ["eosinophil", "", "eosinophil"]


def test_nothing_in_common_is_refused() -> None:
    with pytest.raises(InputError, match=r"no class is shared \(one has EOS; two has BAS\)"):
        common(one=["EOS"], two=["BAS"])


def test_common_classes_of_two_imports_take_the_other_images_away(
    tmp_path: Path, paint, load, snapshot
) -> None:
    for name in ("EOS/1.png", "KSC/2.png", "NGB/3.png"):
        paint(tmp_path / "one" / name)
    for name in ("eosinophil/4.png", "platelet/5.png", "neutrophil/6.png"):
        paint(tmp_path / "two" / name)
    load("folder", tmp_path / "one")
    cells = load("folder", tmp_path / "two", append=True, classes=ClassRules(common=True))
    assert cells["label"].tolist() == ["eosinophil", "neutrophil", "eosinophil", "neutrophil"]
    assert set(snapshot(tmp_path / "out")) == {"manifest.csv", *cells["path"]}
    validate_manifest(cells, tmp_path / "out", jobs=1)


def test_blood_and_bone_marrow_have_five_classes_in_common(real: Path, load) -> None:
    load("folder", real / "pbc-thirteen")
    cells = load("folder", real / "bone-marrow", append=True, classes=ClassRules(common=True))
    counts = cells.groupby("source")["label"].value_counts()
    assert sorted(set(cells["label"])) == [
        "eosinophil",
        "lymphocyte",
        "monocyte",
        "neutrophil_segmented",
        "promyelocyte",
    ]
    assert (counts["bone-marrow"] == 250).all()


def test_one_source_keeps_all_of_its_classes(caplog: pytest.LogCaptureFixture) -> None:
    told = common(one=["neutrophil", "NGB", "Odd", "", "NGB"])
    assert told == ["neutrophil", "neutrophil_band", "Odd", "", "neutrophil_band"]
    assert not caplog.records


def test_classes_that_are_left_out_are_told_with_their_cells(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert common(one=["EOS", "KSC", "KSC"], two=["EO", "Odd"]) == ["eosinophil"] * 2
    assert [record.getMessage() for record in caplog.records] == [
        "one: 2 cell(s) of class 'KSC' were left out: no common class contains it",
        "two: 1 cell(s) of class 'Odd' were left out: no common class contains it",
    ]
