"""What the cell types look like: one row of mean morphology a type, and how cells vary about it.

Diameters, nucleus shares and descriptions follow textbook ranges:

- [A] University of Virginia, *Basic Hematology: White Cell Maturation* (P. Innes): myeloblast 10-20
  µm, fine chromatin, nucleolus, no granules; promyelocyte 10-20 µm, azurophilic granules; myelocyte
  10-18 µm, eccentric round-oval nucleus; metamyelocyte 10-18 µm, kidney-shaped nucleus.
- [B] CellaVision *CellAtlas*: monocyte 12-24 µm, indented, very loose chromatin, powder-fine
  granules, vacuoles; lymphocyte 7-8 µm (small) to 9-15 µm (large); blasts with blue cytoplasm.
- [C] McGraw-Hill *Histology: size relationships*: red cell 7.5-8 µm; neutrophil 10-14, lymphocyte
  8-12, monocyte 12-18, eosinophil 10-14, basophil 8-14 µm.
- [D] US Army, *Hematology I* (MD0853), lesson 4: nucleus-to-cytoplasm ratio 6:1 in the myeloblast,
  4:1 in the promyelocyte, falling with maturation; granules overlie the promyelocyte's nucleus.
- [E] *Quick Review Cards for Medical Laboratory Science*: band and segmented neutrophil 10-16 µm,
  2-5 lobes connected by thin strands.
- [F] Matek et al., *Human-level recognition of blast cells in acute myeloid leukaemia with
  convolutional neural networks*, Nat. Mach. Intell. 1, 538 (2019): the classes and their counts.

Stain amounts have no literature value: they were set by eye against published smears.
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Traits:
    """Continuous morphology of a cell; lengths in µm, stain amounts as optical density.

    `lobes`, `nucleoli` and `vacuoles` are expected counts here; `draw_cell` makes them whole.
    """

    diameter: float  # of the disc with the cell's area
    nucleus_fraction: float  # nucleus area / cell area
    nucleus_length: float = 0.5  # of the spine that the nucleus follows, in units of its half-width
    nucleus_bend: float = 0.3  # angle through which the spine turns, radians
    lobes: float = 1.0
    lobe_pinch: float = 0.02  # 0 parallel sides .. 1 lobes held by a thread
    nucleus_roughness: float = 0.12  # amplitude of the outline's irregularity
    eccentricity: float = 0.4  # nucleus shift, as share of the free play
    chromatin_density: float = 1.5
    chromatin_grain: float = 0.35  # correlation length of the texture
    chromatin_contrast: float = 0.2
    nucleoli: float = 0.03
    basophilia: float = 0.25  # blue of the cytoplasm: ribosomes
    acidophilia: float = 0.06  # pink of the cytoplasm: haemoglobin, specific granules
    edge_basophilia: float = 0.1  # relative rise of the blue towards the cell's edge
    halo: float = 0.1  # relative fall of the stain beside the nucleus (Golgi zone)
    granules: float = 0.02  # per µm²
    granule_diameter: float = 0.25
    granule_purple: float = 0.25
    granule_eosin: float = 0.05
    granules_over_nucleus: float = 0.1  # share of the density there
    vacuoles: float = 0.05
    vacuole_diameter: float = 0.7
    outline_roughness: float = 0.15  # amplitude of the outline's irregularity
    elongation: float = 0.08  # long axis / short axis - 1


TRAIT_NAMES = tuple(f.name for f in fields(Traits))


@dataclass(frozen=True)
class CellType:
    """A class: its count in Matek 2019 [F], its mean morphology and its neighbours.

    Attributes
    ----------
    count
        Cells of the class in Matek 2019.
    traits
        Mean morphology.
    neighbours
        Classes that its cells may come to resemble, with relative frequencies.
    immature
        Found mostly in leukaemic patients.
    """

    count: int
    traits: Traits
    neighbours: dict[str, float]
    immature: bool = False


# Standard deviation of a trait within a class at `overlap = 1`, on the logit or the log scale.
SPREAD = {
    "diameter": 0.09,
    "nucleus_fraction": 0.3,
    "nucleus_length": 0.12,
    "nucleus_bend": 0.22,
    "lobes": 0.15,
    "lobe_pinch": 0.3,
    "nucleus_roughness": 0.35,
    "eccentricity": 0.7,
    "chromatin_density": 0.09,
    "chromatin_grain": 0.2,
    "chromatin_contrast": 0.2,
    "nucleoli": 0.3,
    "basophilia": 0.3,
    "acidophilia": 0.3,
    "edge_basophilia": 0.5,
    "halo": 0.7,
    "granules": 0.45,
    "granule_diameter": 0.12,
    "granule_purple": 0.25,
    "granule_eosin": 0.25,
    "granules_over_nucleus": 0.5,
    "vacuoles": 0.6,
    "vacuole_diameter": 0.2,
    "outline_roughness": 0.35,
    "elongation": 0.6,
}
# These lie in (0, 1) and vary on the logit scale; the others vary on the log scale.
SHARES = frozenset(
    {"nucleus_fraction", "lobe_pinch", "eccentricity", "halo", "granules_over_nucleus"}
)

TYPES: dict[str, CellType] = {
    "neutrophil_segmented": CellType(
        8484,
        Traits(
            diameter=12.6, nucleus_fraction=0.34, nucleus_length=8.4, nucleus_bend=4.4, lobes=3.3,
            lobe_pinch=0.86, nucleus_roughness=0.14, chromatin_density=1.75, chromatin_grain=0.42,
            chromatin_contrast=0.208, basophilia=0.06, acidophilia=0.15, granules=1.3,
            granule_diameter=0.24, granule_purple=0.22, granule_eosin=0.12, eccentricity=0.3,
        ),
        {"neutrophil_band": 0.8, "eosinophil": 0.2},
    ),
    "neutrophil_band": CellType(
        109,
        Traits(
            diameter=12.9, nucleus_fraction=0.37, nucleus_length=5.6, nucleus_bend=3.3, lobes=1.5,
            lobe_pinch=0.1, nucleus_roughness=0.13, chromatin_density=1.65, chromatin_grain=0.4,
            chromatin_contrast=0.2, basophilia=0.07, acidophilia=0.15, granules=1.4,
            granule_diameter=0.24, granule_purple=0.24, granule_eosin=0.12, eccentricity=0.3,
        ),
        {"neutrophil_segmented": 0.5, "metamyelocyte": 0.5},
    ),
    "metamyelocyte": CellType(
        15,
        Traits(
            diameter=14.0, nucleus_fraction=0.46, nucleus_length=2.7, nucleus_bend=2.4,
            lobe_pinch=0.03, nucleus_roughness=0.12, chromatin_density=1.55, chromatin_grain=0.36,
            chromatin_contrast=0.176, basophilia=0.13, acidophilia=0.13, granules=1.6, halo=0.12,
            granule_diameter=0.25, granule_purple=0.28, granule_eosin=0.12, eccentricity=0.45,
            granules_over_nucleus=0.15,
        ),
        {"neutrophil_band": 0.5, "myelocyte": 0.5},
        immature=True,
    ),
    "myelocyte": CellType(
        42,
        Traits(
            diameter=15.0, nucleus_fraction=0.5, nucleus_length=0.6, nucleus_bend=0.5,
            chromatin_density=1.45, chromatin_grain=0.33, chromatin_contrast=0.16, basophilia=0.26,
            acidophilia=0.12, granules=1.7, halo=0.2, granule_diameter=0.27, granule_purple=0.36,
            granule_eosin=0.11, eccentricity=0.65, granules_over_nucleus=0.2, nucleoli=0.2,
        ),
        {"metamyelocyte": 0.5, "promyelocyte": 0.5},
        immature=True,
    ),
    "promyelocyte": CellType(
        70,
        Traits(
            diameter=17.2, nucleus_fraction=0.62, chromatin_density=1.4, chromatin_grain=0.28,
            chromatin_contrast=0.12, basophilia=0.42, acidophilia=0.05, granules=1.9, halo=0.4,
            granule_diameter=0.36, granule_purple=0.62, granule_eosin=0.06, eccentricity=0.65,
            granules_over_nucleus=0.4, nucleoli=1.5,
        ),
        {"myelocyte": 0.6, "myeloblast": 0.4},
        immature=True,
    ),
    "myeloblast": CellType(
        3268,
        Traits(
            diameter=14.6, nucleus_fraction=0.78, nucleus_length=0.6, nucleus_bend=0.5,
            chromatin_density=1.35, chromatin_grain=0.24, chromatin_contrast=0.096, nucleoli=2.4,
            basophilia=0.45, acidophilia=0.02, edge_basophilia=0.35, granules=0.06,
            granule_diameter=0.3, granule_purple=0.4, outline_roughness=0.24, elongation=0.12,
            nucleus_roughness=0.18,
        ),
        {"promyelocyte": 0.2, "monocyte": 0.35, "lymphocyte": 0.3, "lymphocyte_atypical": 0.15},
        immature=True,
    ),
    "monocyte": CellType(
        1789,
        Traits(
            diameter=16.2, nucleus_fraction=0.52, nucleus_length=1.9, nucleus_bend=2.3, lobes=1.3,
            lobe_pinch=0.1, nucleus_roughness=0.32, chromatin_density=1.35, chromatin_grain=0.42,
            chromatin_contrast=0.16, basophilia=0.27, acidophilia=0.06, granules=0.7,
            granule_diameter=0.2, granule_purple=0.18, granule_eosin=0.05, vacuoles=1.6,
            outline_roughness=0.36, elongation=0.16, eccentricity=0.35, nucleoli=0.1,
        ),
        {"myeloblast": 0.35, "lymphocyte_atypical": 0.3, "metamyelocyte": 0.2, "lymphocyte": 0.15},
    ),
    "lymphocyte": CellType(
        3937,
        Traits(
            diameter=10.2, nucleus_fraction=0.76, chromatin_density=1.7, chromatin_grain=0.55,
            chromatin_contrast=0.216, nucleoli=0.08, basophilia=0.32, acidophilia=0.02,
            granules=0.03, granule_diameter=0.35, granule_purple=0.4, eccentricity=0.55,
            outline_roughness=0.17,
        ),
        {"lymphocyte_atypical": 0.45, "myeloblast": 0.4, "erythroblast": 0.15},
    ),
    "lymphocyte_atypical": CellType(
        11,
        Traits(
            diameter=15.8, nucleus_fraction=0.5, nucleus_length=0.9, nucleus_bend=0.8,
            chromatin_density=1.5, chromatin_grain=0.45, chromatin_contrast=0.176, nucleoli=0.5,
            basophilia=0.42, acidophilia=0.02, edge_basophilia=1.3, halo=0.25, granules=0.05,
            granule_diameter=0.33, granule_purple=0.4, vacuoles=0.4, outline_roughness=0.6,
            elongation=0.22, eccentricity=0.55, nucleus_roughness=0.2,
        ),
        {"lymphocyte": 0.45, "monocyte": 0.35, "myeloblast": 0.2},
    ),
    "eosinophil": CellType(
        424,
        Traits(
            diameter=13.2, nucleus_fraction=0.34, nucleus_length=7.4, nucleus_bend=3.4, lobes=2.1,
            lobe_pinch=0.7, chromatin_density=1.6, chromatin_grain=0.42, chromatin_contrast=0.192,
            basophilia=0.08, acidophilia=0.3, granules=2.6, granule_diameter=0.62,
            granule_purple=0.1, granule_eosin=0.55, eccentricity=0.5, granules_over_nucleus=0.12,
        ),
        {"neutrophil_segmented": 0.7, "myelocyte": 0.3},
    ),
    "basophil": CellType(
        79,
        Traits(
            diameter=11.8, nucleus_fraction=0.46, nucleus_length=5.2, nucleus_bend=2.6, lobes=2.0,
            lobe_pinch=0.45, chromatin_density=1.4, chromatin_grain=0.45, chromatin_contrast=0.16,
            basophilia=0.1, acidophilia=0.12, granules=1.1, granule_diameter=0.62,
            granule_purple=1.1, granule_eosin=0.02, granules_over_nucleus=0.8, vacuoles=0.5,
        ),
        {"neutrophil_segmented": 0.5, "lymphocyte": 0.3, "eosinophil": 0.2},
    ),
    "erythroblast": CellType(
        78,
        Traits(
            diameter=9.8, nucleus_fraction=0.39, nucleus_length=0.2, nucleus_bend=0.1,
            nucleus_roughness=0.06, chromatin_density=2.1, chromatin_grain=0.5,
            chromatin_contrast=0.224, basophilia=0.24, acidophilia=0.45, halo=0.15, granules=0.01,
            eccentricity=0.35, outline_roughness=0.2,
        ),
        {"lymphocyte": 1.0},
        immature=True,
    ),
}  # fmt: skip
