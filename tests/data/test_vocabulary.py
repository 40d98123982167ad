from pathlib import Path

import pytest

from bloomdiff.data.vocabulary import (
    LINEAGES,
    SOURCES,
    VOCABULARY,
    coarsen,
    codes,
    common_classes,
    known_name,
    lineage,
    shared_classes,
    to_markdown,
    to_vocabulary,
)
from bloomdiff.errors import ParameterError

REPOSITORY = Path(__file__).parents[2]

# MLL23's labels_harmonised.csv, github.com/marrlab/MLL23: name, MLL23, Matek 2019, Acevedo.
HARMONISED = """
neutrophil_segmented neutrophil_segmented NGS SNE
myeloblast myeloblast MYO -
lymphocyte lymphocyte LYT lymphocyte
eosinophil eosinophil EOS eosinophil
monocyte monocyte MON monocyte
erythroblast normoblast EBO erythroblast
neutrophil_band neutrophil_band NGB BNE
myelocyte myelocyte MYB MY
basophil basophil BAS basophil
metamyelocyte metamyelocyte MMZ MMY
promyelocyte promyelocyte PMO PMY
"""


@pytest.mark.parametrize("row", HARMONISED.strip().splitlines())
def test_equals_the_published_harmonisation(row: str) -> None:
    name, *told = row.split()
    for source, code in zip(("mll23", "matek-2019", "acevedo"), told, strict=True):
        if code != "-":
            assert to_vocabulary(source, code) == name
        else:
            assert name not in {to_vocabulary(source, c) for c in codes(source)}


@pytest.mark.parametrize(
    ("source", "count"),
    [("matek-2019", 15), ("bone-marrow", 21), ("mll23", 18), ("raabin", 5), ("lisc", 5)],
)
def test_each_source_has_its_published_number_of_classes(source: str, count: int) -> None:
    assert len(codes(source)) == count
    assert len({to_vocabulary(source, code) for code in codes(source)}) == count


def test_acevedo_has_thirteen_prefixes_and_eight_folders() -> None:
    prefixes = [
        "BA",
        "BNE",
        "EO",
        "ERB",
        "IG",
        "LY",
        "MMY",
        "MO",
        "MY",
        "NEUTROPHIL",
        "PLATELET",
        "PMY",
        "SNE",
    ]
    folders = [
        "basophil",
        "eosinophil",
        "erythroblast",
        "ig",
        "lymphocyte",
        "monocyte",
        "neutrophil",
        "platelet",
    ]
    assert {to_vocabulary("acevedo", code) for code in prefixes + folders} == {
        to_vocabulary("acevedo", code) for code in prefixes
    }
    assert len({to_vocabulary("acevedo", code) for code in folders}) == 8


def test_no_code_means_two_classes() -> None:
    meanings: dict[str, set[str]] = {}
    for source in SOURCES:
        for code in codes(source):
            meanings.setdefault(code.casefold(), set()).add(to_vocabulary(source, code))
    assert {code: names for code, names in meanings.items() if len(names) > 1} == {}
    assert all(known_name(code) in names for code, names in meanings.items())


def test_lineages_and_broader_classes_are_consistent() -> None:
    for cell in VOCABULARY.values():
        assert cell.lineage in LINEAGES
        if cell.broader:
            broader = VOCABULARY[cell.broader]
            assert broader.broader == ""
            assert broader.lineage in (cell.lineage, "uncommitted")


def test_phantom_types_are_in_the_vocabulary() -> None:
    from bloomdiff.data.phantom.cell_types import TYPES

    assert {to_vocabulary("phantom", name) for name in TYPES} == set(TYPES)


@pytest.mark.parametrize("folder", ["pbc-examples", "pbc-five", "pbc-thirteen", "bone-marrow"])
def test_bare_folder_names_of_real_parts_have_a_lineage(folder: str) -> None:
    root = REPOSITORY.parent / "shared" / "data" / folder
    if not root.is_dir():
        pytest.skip(f"{root} is missing")
    assert all(lineage(path.name) for path in root.iterdir() if path.is_dir())


def test_lineage_of_a_laboratorys_own_class_is_empty() -> None:
    assert lineage("patient 7, weird cells") == ""
    assert lineage("BLA") == "uncommitted"
    assert lineage("ngs") == "myeloid"


def test_common_classes_are_the_finest_that_all_can_tell() -> None:
    assert "neutrophil" in common_classes(["acevedo", "raabin"])
    assert "neutrophil_band" not in common_classes(["acevedo", "raabin"])
    both = common_classes(["acevedo", "bone-marrow"])
    assert {"neutrophil_band", "neutrophil_segmented", "promyelocyte"} <= set(both)
    assert "neutrophil" not in both
    assert "blast" in common_classes(["matek-2019", "bone-marrow"])
    assert common_classes(["raabin", "lisc"]) == common_classes(["lisc", "raabin"])


def test_shared_classes_of_labels_that_occur() -> None:
    assert shared_classes([{"SNE", "EO"}, {"neutrophil", "eosinophil", "own class"}]) == [
        "neutrophil",
        "eosinophil",
    ]
    assert shared_classes([{"own class", "x"}, {"own class", "BNE"}]) == ["own class"]


def test_coarsen() -> None:
    assert coarsen("neutrophil_band", ["neutrophil", "monocyte"]) == "neutrophil"
    assert coarsen("BNE", ["neutrophil_band"]) == "neutrophil_band"
    assert coarsen("neutrophil", ["neutrophil_band"]) is None
    assert coarsen("own class", ["neutrophil"]) is None
    assert coarsen("own class", ["neutrophil", "own class"]) == "own class"


def test_signs_tell_classes_apart() -> None:
    names = ["blast", "lymphocyte"]
    assert coarsen(" Blast_", names) == coarsen("(BLAST)", names) == "blast"
    assert known_name("band - neutrophil") == known_name("Band_Neutrophil")
    for other in ("blast+", "blast-", "blast -", "blast?", "-blast", "非blast", "lymphocyte?"):
        assert known_name(other) is None, other
        assert coarsen(other, names) is None, other


@pytest.mark.parametrize(
    ("source", "code", "hint"),
    [("matek-2019", "NGX", "did you mean 'NGS'"), ("matek", "NGS", "did you mean 'matek-2019'")],
)
def test_unknown_codes_and_sources_are_one_line(source: str, code: str, hint: str) -> None:
    with pytest.raises(ParameterError, match=hint) as caught:
        to_vocabulary(source, code)
    assert "\n" not in str(caught.value)


def test_common_classes_of_nothing_is_an_error() -> None:
    with pytest.raises(ParameterError):
        common_classes([])


def test_the_page_prints_the_table() -> None:
    page = (REPOSITORY / "docs" / "vocabulary.md").read_text(encoding="utf-8")
    assert to_markdown() in page
