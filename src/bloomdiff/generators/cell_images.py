"""What a generator of images needs besides embeddings: the cells' images, and the encoder."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bloomdiff.data.embedding_set import Floats, Labels
from bloomdiff.data.fingerprint import Fingerprint, hash_group
from bloomdiff.data.images import Pixels
from bloomdiff.data.space import space_of
from bloomdiff.encoders.base import Encoder
from bloomdiff.encoders.decode import decode_batch
from bloomdiff.encoders.transform import Transform
from bloomdiff.errors import InputError, LeakageError


@dataclass(frozen=True)
class CellImages:
    """Images of cells, by `cell_id`, and the frozen encoder that made their embeddings.

    Attributes
    ----------
    cells
        Manifest: at least `cell_id, path, group, blake3`.
    root
        Folder that its paths are relative to.
    encoder
        From `load_encoder`.
    """

    cells: pd.DataFrame
    root: Path
    encoder: Encoder

    def squares(self, cell_id: Labels, size: int, *, fingerprint: Fingerprint) -> Pixels:
        """Read images, fitted into squares.

        Parameters
        ----------
        cell_id
            Names of the cells `(n,)`.
        size
            Side in pixels.
        fingerprint
            Groups that the reader may see.

        Returns
        -------
        numpy.ndarray
            uint8 RGB `(n, size, size, 3)`, in the order asked for.

        Raises
        ------
        InputError
            A cell that is not in the manifest, or an image that is missing, damaged or changed.
        LeakageError
            A cell of a group that `fingerprint` does not have.
        """
        position = pd.Index(self.cells["cell_id"]).get_indexer(pd.Index(cell_id))
        if (position < 0).any():
            unknown = str(cell_id[int(np.flatnonzero(position < 0)[0])])
            raise InputError(
                f"image of cell {unknown!r}", "is not in the manifest", "run `dvc repro embed`"
            )
        rows = self.cells.iloc[position]
        unseen = sorted({g for g in rows["group"] if hash_group(g) not in fingerprint.hashes})
        if unseen:
            raise LeakageError(
                f"images of {len(unseen)} groups ({unseen[0]}, ...)",
                "are asked for by something that may not see them",
                "pass the cells of the training fold alone",
            )
        paths = [self.root / path for path in rows["path"]]
        digests = [str(digest) for digest in rows["blake3"]]
        return np.stack(decode_batch(paths, digests, Transform(size, interpolation="lanczos")))

    def embed(self, images: Pixels) -> Floats:
        """Embeddings float32 `(n, d)` of uint8 RGB images `(n, h, w, 3)`."""
        encoder, size = self.encoder, self.encoder.batch_size

        def part(start: int) -> Floats:
            own = [encoder.transform(image) for image in images[start : start + size]]
            return encoder.encode_transformed(own)

        with encoder.session(), ThreadPoolExecutor(encoder.streams) as pool:
            parts = list(pool.map(part, range(0, len(images), size)))
        return np.concatenate(parts) if parts else np.empty((0, encoder.dim), np.float32)


def check_encoder(encoder: Encoder, header: dict[str, Any], where: str) -> None:
    """Raise `InputError` where embeddings with this header came of another encoder or another use.

    Sampled images would else be embedded into a space in which no real cell lies.
    """
    if space_of(encoder.header) != space_of(header):
        raise InputError(
            where,
            f"was not made by encoder {encoder.name!r} as it is set now",
            "run `dvc repro embed`",
        )
