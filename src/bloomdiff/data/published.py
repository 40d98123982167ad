"""The published data sets: what they hold, whose they are, where they are had, who has seen them.

Counts, licences and addresses are those of the data sets' own pages and papers, named at each
entry. What DinoBloom (Koch et al., MICCAI 2024, arXiv 2404.05022) saw in pre-training follows the
exposure audit of Sharma and Tapadiya (HemaRAI at MICCAI 2026, arXiv 2608.25148): Matek 2019,
Raabin-WBC and MLL23 (the authors' own cohort) are in its corpus, Acevedo is held out. Of the
bone-marrow set its authors publish the part that they tested on (github.com/marrlab/DinoBloom,
``dinov2/eval/miccai/splits/bm_test.csv``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Seen = Literal["yes", "no", "unknown"]


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file to download.

    Attributes
    ----------
    name
        Its name, without folders.
    url
        Where it lies.
    size
        Bytes, or None where they are not published.
    checksum
        ``md5:...`` or ``sha256:...`` as published, or None where none is.
    """

    name: str
    url: str
    size: int | None = None
    checksum: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """An archive's own list of a record's files, with their published sizes and checksums.

    Attributes
    ----------
    kind
        'zenodo' (MD5) or 'mendeley' (SHA-256).
    url
        The address that answers with the list, as JSON.
    """

    kind: Literal["zenodo", "mendeley"]
    url: str


@dataclass(frozen=True, slots=True)
class Source:
    """A published data set.

    Attributes
    ----------
    name
        Its name here: of its importer, and in the manifest's `source` column.
    title, images, classes, size, licence, citation, page
        What `bloomdiff data sources` prints; `size` is that of the download where it is told.
    seen, seen_note
        Whether DinoBloom was pre-trained on it, and what limits that.
    files
        What `bloomdiff data get` downloads: files, a listing of them, or () where it cannot.
    manual
        What to do instead or afterwards, by hand.
    unpacked_bytes
        Bound on what the archives may unpack to.
    """

    name: str
    title: str
    images: int
    classes: int
    size: str
    licence: str
    citation: str
    page: str
    seen: Seen
    seen_note: str = ""
    files: tuple[RemoteFile, ...] | Listing = ()
    manual: str = ""
    unpacked_bytes: int = 20 * 10**9


_RAABIN = "http://dl.raabindata.com/WBC/Cropped_double_labeled/"
_MEDMNIST = "https://zenodo.org/records/10519652/files/"

_ALL = (
    # cancerimagingarchive.net/collection/aml-cytomorphology_lmu
    Source(
        "matek-2019",
        "AML-Cytomorphology_LMU, blood of 100 AML patients and 100 controls, TIFF 400x400",
        images=18_365,
        classes=15,
        size="11 GB",
        licence="CC BY 3.0",
        citation="Matek, Schwarz, Marr, Spiekermann. A Single-cell Morphological Dataset of "
        "Leukocytes from AML Patients and Non-malignant Controls. The Cancer Imaging Archive, "
        "2019. doi:10.7937/tcia.2019.36f5o9ld",
        page="https://doi.org/10.7937/tcia.2019.36f5o9ld",
        seen="yes",
        manual="the archive hands it out by IBM Aspera alone: download it from the page",
    ),
    # cancerimagingarchive.net/collection/bone-marrow-cytomorphology_mll_helmholtz_fraunhofer;
    # 171,373 cells by its authors; the classes' published counts add up to one more
    Source(
        "bone-marrow",
        "Bone-Marrow-Cytomorphology (MLL, Helmholtz, Fraunhofer), 945 patients, JPEG 250x250",
        images=171_373,
        classes=21,
        size="6.8 GB",
        licence="CC BY 4.0",
        citation="Matek, Krappe, Münzenmayer, Haferlach, Marr. An Expert-Annotated Dataset of "
        "Bone Marrow Cytology in Hematologic Malignancies. The Cancer Imaging Archive, 2021. "
        "doi:10.7937/TCIA.AXH3-T579",
        page="https://doi.org/10.7937/TCIA.AXH3-T579",
        seen="yes",
        seen_note="the test split is published by its authors",
        manual="the archive hands it out by IBM Aspera alone: download it from the page",
    ),
    # counts: labels_MLL23.csv in github.com/marrlab/MLL23; 41,621 x 288 x 288 x 3 bytes
    Source(
        "mll23",
        "MLL23, blood, Munich Leukemia Laboratory, TIFF 288x288",
        images=41_621,
        classes=18,
        size="about 10 GB unpacked",
        licence="CC BY 4.0",
        citation="Shetab Boushehri et al. A large expert-annotated single-cell peripheral blood "
        "dataset for hematological disease diagnostics. Scientific Data 12, 1773, 2025. "
        "doi:10.1038/s41597-025-06223-x",
        page="https://doi.org/10.5281/zenodo.14277609",
        seen="yes",
        seen_note="its authors' own cohort, by an independent audit",
        files=Listing("zenodo", "https://zenodo.org/api/records/14277609"),
    ),
    # Data in Brief 30, 105474, 2020, table 1; prefixes counted in the published archive
    Source(
        "acevedo",
        "PBC, blood of healthy donors, Hospital Clínic Barcelona, JPEG 360x363",
        images=17_092,
        classes=13,
        size="not told",
        licence="CC BY 4.0",
        citation="Acevedo, Merino, Alférez, Molina, Boldú, Rodellar. A dataset of microscopic "
        "peripheral blood cell images for development of automatic recognition systems. Data in "
        "Brief 30, 105474, 2020. doi:10.17632/snkd93bnjr.1",
        page="https://doi.org/10.17632/snkd93bnjr.1",
        seen="no",
        files=Listing(
            "mendeley",
            "https://data.mendeley.com/public-api/datasets/snkd93bnjr/files"
            "?folder_id=root&version=1",
        ),
    ),
    # checksums: medmnist/info.py in github.com/MedMNIST/MedMNIST
    Source(
        "bloodmnist",
        "BloodMNIST, the PBC cells cropped and scaled to 28, 64, 128 and 224 pixels",
        images=17_092,
        classes=8,
        size="one file a size",
        licence="CC BY 4.0",
        citation="Yang et al. MedMNIST v2. Scientific Data 10, 41, 2023. "
        "doi:10.5281/zenodo.10519652",
        page="https://doi.org/10.5281/zenodo.10519652",
        seen="no",
        files=tuple(
            RemoteFile(name, f"{_MEDMNIST}{name}?download=1", checksum=f"md5:{md5}")
            for name, md5 in (
                ("bloodmnist.npz", "7053d0359d879ad8a5505303e11de1dc"),
                ("bloodmnist_64.npz", "2b94928a2ae4916078ca51e05b6b800b"),
                ("bloodmnist_128.npz", "adace1e0ed228fccda1f39692059dd4c"),
                ("bloodmnist_224.npz", "b718ff6835fcbdb22ba9eacccd7b2601"),
            )
        ),
    ),
    # counts of Train and TestA: Scientific Reports 12, 1123, 2022; 279, 115 and 104 MB as others
    # found them on the server
    Source(
        "raabin",
        "Raabin-WBC, double-labelled crops of blood, Iran, JPEG (Train and TestA; TestB besides)",
        images=14_514,
        classes=5,
        size="about 0.5 GB",
        licence="free for any use, by its page; no formal licence",
        citation="Kouzehkanan et al. A large dataset of white blood cells containing cell "
        "locations and types, along with segmented nuclei and cytoplasm. Scientific Reports 12, "
        "1123, 2022. doi:10.1038/s41598-021-04426-x",
        page="https://raabindata.com/free-data/",
        seen="yes",
        files=tuple(
            RemoteFile(name, _RAABIN + name) for name in ("Train.rar", "TestA.rar", "TestB.zip")
        ),
        manual="unpack the .rar files beside TestB yourself, with `unar` or `7z x`",
    ),
    # users.cecs.anu.edu.au/~hrezatofighi/Data/Leukocyte%20Data.htm
    Source(
        "lisc",
        "LISC, fields of blood of 8 healthy donors with masks, Tehran, BMP 720x576",
        images=250,
        classes=5,
        size="not told",
        licence="research and education, from the authors' page only, no redistribution",
        citation="Rezatofighi, Soltanian-Zadeh. Automatic recognition of five types of white "
        "blood cells in peripheral blood. Computerized Medical Imaging and Graphics 35, 333, "
        "2011. doi:10.1016/j.compmedimag.2011.01.003",
        page="http://users.cecs.anu.edu.au/~hrezatofighi/Data/Leukocyte%20Data.htm",
        seen="unknown",
        files=(
            RemoteFile(
                "LISC Database.zip",
                "http://users.cecs.anu.edu.au/~hrezatofighi/Data/LISC%20Database.zip",
            ),
        ),
    ),
)

PUBLISHED: dict[str, Source] = {source.name: source for source in _ALL}
