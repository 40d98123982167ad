"""The vocabulary's table: one row a cell class, with its code in every published data set.

The table below is the only place where a data set's codes are told; ``docs/vocabulary.md`` prints
it. It starts from the harmonisation that comes with MLL23 (Shetab Boushehri et al., *Sci. Data*
12, 1773, 2025; ``labels_harmonised.csv`` and ``labels_unharmonised.csv`` in github.com/marrlab/
MLL23), which covers Matek 2019, Acevedo and MLL23. What that leaves apart stays apart here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# 'uncommitted' is a blast whose lineage the source does not tell; 'none' is not a cell of one kind.
LINEAGES = ("myeloid", "lymphoid", "erythroid", "megakaryocytic", "uncommitted", "none")
SOURCES = (
    "matek-2019",
    "bone-marrow",
    "mll23",
    "acevedo",
    "bloodmnist",
    "raabin",
    "lisc",
    "bccd",
    "phantom",
)


@dataclass(frozen=True, slots=True)
class CellClass:
    """A class of the vocabulary.

    Attributes
    ----------
    name
        Its name in this project.
    lineage
        One of `LINEAGES`.
    meaning
        What haematologists call it.
    broader
        The class that contains it by definition and that some sources stop at, or ''.
    codes
        Source to the codes, folder names or file-name prefixes that it uses for the class.
    """

    name: str
    lineage: str
    meaning: str
    broader: str = ""
    codes: dict[str, tuple[str, ...]] = field(default_factory=dict)


def _cell(
    name: str,
    lineage: str,
    meaning: str,
    *,
    broader: str = "",
    matek: str = "",
    marrow: str = "",
    mll23: str = "",
    acevedo: str = "",
    medmnist: str = "",
    raabin: str = "",
    lisc: str = "",
    bccd: str = "",
    phantom: bool = False,
) -> CellClass:
    """One row of the table; alternative codes of one source are divided by '|'."""
    told = (matek, marrow, mll23, acevedo, medmnist, raabin, lisc, bccd, name if phantom else "")
    codes = {
        source: tuple(codes.split("|"))
        for source, codes in zip(SOURCES, told, strict=True)
        if codes
    }
    return CellClass(name, lineage, meaning, broader, codes)


_TABLE = (
    _cell(
        "neutrophil_segmented", "myeloid", "segmented neutrophil", broader="neutrophil",
        matek="NGS", marrow="NGS", mll23="neutrophil_segmented", acevedo="SNE", phantom=True,
    ),
    _cell(
        "neutrophil_band", "myeloid", "band neutrophil", broader="neutrophil",
        matek="NGB", marrow="NGB", mll23="neutrophil_band", acevedo="BNE", phantom=True,
    ),
    _cell(
        "neutrophil", "myeloid", "neutrophil, band or segmented not told",
        acevedo="NEUTROPHIL|neutrophil", medmnist="neutrophil", raabin="Neutrophil", lisc="neut",
        bccd="NEUTROPHIL",
    ),
    _cell(
        "metamyelocyte", "myeloid", "metamyelocyte", broader="granulocyte_immature",
        matek="MMZ", marrow="MMZ", mll23="metamyelocyte", acevedo="MMY", phantom=True,
    ),
    _cell(
        "myelocyte", "myeloid", "myelocyte", broader="granulocyte_immature",
        matek="MYB", marrow="MYB", mll23="myelocyte", acevedo="MY", phantom=True,
    ),
    _cell(
        "promyelocyte", "myeloid", "promyelocyte", broader="granulocyte_immature",
        matek="PMO", marrow="PMO", mll23="promyelocyte", acevedo="PMY", phantom=True,
    ),
    _cell(
        "granulocyte_immature", "myeloid", "immature granulocyte, stage not told",
        acevedo="IG|ig|immature granulocyte",
        medmnist="immature granulocytes(myelocytes, metamyelocytes and promyelocytes)|ig",
    ),
    _cell("promyelocyte_bilobed", "myeloid", "bilobed promyelocyte", matek="PMB"),
    _cell(
        "promyelocyte_atypical", "myeloid", "atypical promyelocyte", mll23="promyelocyte_atypical"
    ),
    _cell("faggot_cell", "myeloid", "faggot cell, with bundles of Auer rods", marrow="FGC"),
    _cell(
        "eosinophil", "myeloid", "eosinophil",
        matek="EOS", marrow="EOS", mll23="eosinophil", acevedo="EO|eosinophil",
        medmnist="eosinophil", raabin="Eosinophil", lisc="eosi", bccd="EOSINOPHIL", phantom=True,
    ),
    _cell("eosinophil_abnormal", "myeloid", "abnormal eosinophil", marrow="ABE"),
    _cell(
        "basophil", "myeloid", "basophil",
        matek="BAS", marrow="BAS", mll23="basophil", acevedo="BA|basophil", medmnist="basophil",
        raabin="Basophil", lisc="Baso", bccd="BASOPHIL", phantom=True,
    ),
    _cell(
        "monocyte", "myeloid", "monocyte",
        matek="MON", marrow="MON", mll23="monocyte", acevedo="MO|monocyte", medmnist="monocyte",
        raabin="Monocyte", lisc="mono", bccd="MONOCYTE", phantom=True,
    ),
    _cell("monoblast", "myeloid", "monoblast", broader="blast", matek="MOB"),
    _cell(
        "myeloblast", "myeloid", "myeloblast", broader="blast",
        matek="MYO", mll23="myeloblast", phantom=True,
    ),
    _cell("blast", "uncommitted", "blast, lineage not told", marrow="BLA"),
    _cell(
        "lymphocyte", "lymphoid", "typical lymphocyte",
        matek="LYT", marrow="LYT", mll23="lymphocyte", acevedo="LY|lymphocyte",
        medmnist="lymphocyte", raabin="Lymphocyte", lisc="lymp", bccd="LYMPHOCYTE", phantom=True,
    ),
    _cell("lymphocyte_atypical", "lymphoid", "atypical lymphocyte", matek="LYA", phantom=True),
    _cell("lymphocyte_reactive", "lymphoid", "reactive lymphocyte", mll23="lymphocyte_reactive"),
    _cell(
        "lymphocyte_large_granular", "lymphoid", "large granular lymphocyte",
        mll23="lymphocyte_large_granular",
    ),
    _cell(
        "lymphocyte_neoplastic", "lymphoid", "neoplastic lymphocyte", mll23="lymphocyte_neoplastic"
    ),
    _cell("lymphocyte_immature", "lymphoid", "immature lymphocyte", marrow="LYI"),
    _cell("hairy_cell", "lymphoid", "hairy cell", marrow="HAC", mll23="hairy_cell"),
    _cell("plasma_cell", "lymphoid", "plasma cell", marrow="PLM", mll23="plasma_cell"),
    _cell(
        "erythroblast", "erythroid", "erythroblast (normoblast)",
        matek="EBO", marrow="EBO", mll23="normoblast", acevedo="ERB|erythroblast",
        medmnist="erythroblast", phantom=True,
    ),
    _cell("proerythroblast", "erythroid", "proerythroblast", marrow="PEB"),
    _cell("red_blood_cell", "erythroid", "red blood cell", bccd="RBC"),
    _cell(
        "platelet", "megakaryocytic", "platelet",
        acevedo="PLATELET|platelet", medmnist="platelet", bccd="Platelets",
    ),
    _cell("smudge_cell", "none", "smudge cell", matek="KSC", marrow="KSC", mll23="smudge_cell"),
    _cell("artefact", "none", "artefact", marrow="ART"),
    _cell("other_cell", "none", "other cell", marrow="OTH"),
    _cell("not_identifiable", "none", "not identifiable", marrow="NIF"),
)  # fmt: skip

VOCABULARY: dict[str, CellClass] = {cell.name: cell for cell in _TABLE}


def to_markdown() -> str:
    """The table as Markdown: one row a class, one column a source."""
    head = ["class", "lineage", "part of", *SOURCES[:-1], "phantom"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for cell in VOCABULARY.values():
        told = [" or ".join(f"`{code}`" for code in cell.codes.get(s, ())) for s in SOURCES[:-1]]
        drawn = "yes" if "phantom" in cell.codes else ""
        row = [f"`{cell.name}`", cell.lineage, f"`{cell.broader}`" if cell.broader else ""]
        lines.append("| " + " | ".join(entry or "–" for entry in [*row, *told, drawn]) + " |")
    return "\n".join(lines) + "\n"
