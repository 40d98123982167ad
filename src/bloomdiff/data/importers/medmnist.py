"""MedMNIST archives: ``.npz`` files of images with their official split, read row by row.

Yang et al., "MedMNIST v2: A large-scale lightweight benchmark for 2D and 3D biomedical image
classification", *Scientific Data* 10, 41, 2023. BloodMNIST is made from Acevedo et al., *Data in
Brief* 30, 105474, 2020; its class names are those of MedMNIST's ``info.py``.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from bloomdiff.data.images import MAX_PIXELS, Pixels
from bloomdiff.data.importers.base import IMPORTERS, Importer, ImporterParams
from bloomdiff.data.records import Record
from bloomdiff.errors import InputError

_MAX_IMAGES = 100_000_000  # a header may claim anything; the labels are read at once
_SPLITS = ("train", "val", "test")
BLOODMNIST = (
    "basophil",
    "eosinophil",
    "erythroblast",
    "immature granulocytes(myelocytes, metamyelocytes and promyelocytes)",
    "lymphocyte",
    "monocyte",
    "neutrophil",
    "platelet",
)


class MedmnistParams(ImporterParams):
    """Options of the `medmnist` importer.

    Attributes
    ----------
    classes
        Names of the classes in the order of their indices; BloodMNIST's are known.
    """

    classes: tuple[str, ...] = ()


@IMPORTERS.register("medmnist")
class MedmnistImporter(Importer):
    """Reads ``{train,val,test}_{images,labels}`` of an archive of two-dimensional images."""

    name = "medmnist"
    summary = "a MedMNIST archive (.npz) of any size, with its official split"
    streams = True
    Params = MedmnistParams
    params: MedmnistParams

    def records(self, path: Path) -> Iterator[Record]:
        """Yield one record an image; the archive is never in memory as a whole."""
        classes = self.params.classes
        if not classes and path.stem.lower().startswith("bloodmnist"):
            classes = BLOODMNIST
        if not classes:
            raise InputError(
                str(path), "its class names are not known", "give --set 'classes=[first, second]'"
            )
        try:
            with zipfile.ZipFile(path) as archive:
                for split in _SPLITS:
                    yield from _read(archive, path, split, classes)
        except (OSError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise InputError(
                str(path), f"is no whole .npz archive ({error})", "fetch it again"
            ) from None


def _read(
    archive: zipfile.ZipFile, path: Path, split: str, classes: tuple[str, ...]
) -> Iterator[Record]:
    labels = _labels(archive, path, split)
    with _member(archive, path, f"{split}_images") as (stream, shape, dtype):
        flat = len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)
        if dtype != np.uint8 or not flat or not 0 < shape[1] * shape[2] <= MAX_PIXELS:
            raise InputError(
                f"{path}: {split}_images",
                f"holds {dtype} {shape}, not bytes (n, h, w) or (n, h, w, 3)",
                "give a two-dimensional MedMNIST set",
            )
        if len(labels) != shape[0]:
            raise InputError(
                f"{path}: {split}_labels", f"{len(labels)} for {shape[0]} images", "fetch it again"
            )
        for number, label in enumerate(labels.tolist()):
            if not 0 <= label < len(classes):
                raise InputError(
                    f"{path}: {split}_labels row {number}",
                    f"class {label} has no name",
                    f"name more than {len(classes)} classes",
                )
            yield Record(
                f"{split}/{number:06d}.png",
                _next_image(stream, shape[1:], path),
                classes[label],
                split=split,
            )


def _labels(archive: zipfile.ZipFile, path: Path, split: str) -> npt.NDArray[np.integer]:
    with _member(archive, path, f"{split}_labels") as (stream, shape, dtype):
        one = shape in {(shape[0],), (shape[0], 1)} and shape[0] <= _MAX_IMAGES
        if dtype.kind not in "iu" or not one:
            raise InputError(
                f"{path}: {split}_labels",
                f"holds {dtype} {shape}, not one class an image",
                "give a set with one label an image",
            )
        size = dtype.itemsize * shape[0]
        data = stream.read(size)
        if len(data) != size:
            raise InputError(f"{path}: {split}_labels", "is cut short", "fetch it again")
        return np.frombuffer(data, dtype=dtype)


@contextmanager
def _member(
    archive: zipfile.ZipFile, path: Path, name: str
) -> Iterator[tuple[IO[bytes], tuple[int, ...], np.dtype]]:
    """Open an array of the archive behind its header; arrays of Python objects are refused."""
    if f"{name}.npy" not in archive.namelist():
        raise InputError(str(path), f"holds no {name}", "give a MedMNIST archive")
    with archive.open(f"{name}.npy") as stream:
        try:
            version = np.lib.format.read_magic(stream)
            read = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, fortran, dtype = read(stream)
        except (ValueError, KeyError) as error:
            raise InputError(
                f"{path}: {name}", f"is no array ({error})", "fetch it again"
            ) from None
        if dtype.hasobject or (fortran and len(shape) > 1) or not shape:
            raise InputError(
                f"{path}: {name}", f"is no plain array: {dtype} {shape}", "save it in C order"
            )
        yield stream, shape, dtype


def _next_image(stream: IO[bytes], shape: tuple[int, ...], path: Path) -> Pixels:
    size = int(np.prod(shape))
    data = stream.read(size)
    if len(data) != size:
        raise InputError(str(path), "its images are cut short", "fetch it again")
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)
