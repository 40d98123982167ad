"""The embedding cache: image digest x encoder digest x preprocessing to vector.

One folder an encoder (`Encoder.key`), in it chunks of rows in the order in which they were
computed. A chunk is written whole or not at all, so a killed run loses the last one at most; its
name carries its checksum, so damage is found and that chunk's rows are computed again.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bloomdiff.encoders.base import Encoder, Floats
from bloomdiff.files import atomic_file, sha256_file, write_json

# Digests are kept as 32 bytes; numpy sorts and searches fixed-width byte strings.
Digests = npt.NDArray[np.bytes_]
_OPEN_CHUNKS = 2
# Names start with a digit; a dot starts those that another process is still writing.
_CHUNKS = "[0-9]*.safetensors"


def as_digests(hexadecimal: Iterable[str]) -> Digests:
    """Hexadecimal digests to `(n,)` of 32 bytes."""
    return np.frombuffer(bytes.fromhex("".join(hexadecimal)), dtype="S32")


class EmbeddingCache:
    """Vectors of one encoder, by image digest.

    Parameters
    ----------
    cache_dir
        Folder of all caches.
    encoder
        Whose vectors.
    """

    def __init__(self, cache_dir: str | Path, encoder: Encoder) -> None:
        self.folder = Path(cache_dir) / "embeddings" / encoder.key
        self.dim = encoder.dim
        self._card = encoder.header
        self._chunks: list[Path] = []
        self._open: OrderedDict[int, Floats] = OrderedDict()
        self.refresh()

    def refresh(self) -> None:
        """Read the index of every chunk on disk; a damaged chunk is removed."""
        self._chunks, self._open = [], OrderedDict()
        digests, chunk_of, row_of = [np.empty(0, "S32")], [np.empty(0, "i4")], [np.empty(0, "i4")]
        for path in sorted(self.folder.glob(_CHUNKS)):
            if not path.stem.endswith(sha256_file(path)[:32]):
                path.unlink()
                continue
            found = _read(path, "digests").reshape(-1).view("S32")
            digests.append(found)
            chunk_of.append(np.full(len(found), len(self._chunks), "i4"))
            row_of.append(np.arange(len(found), dtype="i4"))
            self._chunks.append(path)
        self._digests, first = np.unique(np.concatenate(digests), return_index=True)
        self._chunk_of = np.concatenate(chunk_of)[first]
        self._row_of = np.concatenate(row_of)[first]

    def __len__(self) -> int:
        return len(self._digests)

    def missing(self, digests: Digests) -> npt.NDArray[np.bool_]:
        """Which of these images have no vector yet, `(n,)`."""
        if len(self) == 0:
            return np.ones(len(digests), bool)
        at = np.minimum(np.searchsorted(self._digests, digests), len(self) - 1)
        return np.asarray(self._digests[at] != digests)

    def add(self, digests: Digests, X: Floats) -> None:
        """Write one chunk, atomically; `refresh` makes it readable."""
        from safetensors.numpy import save

        if not self.folder.exists():
            write_json(self.folder / "encoder.json", self._card)
        raw = np.frombuffer(digests.tobytes(), np.uint8).reshape(-1, 32)
        body = save({"X": np.ascontiguousarray(X), "digests": raw})
        number = 1 + max((int(p.name[:8]) for p in self.folder.glob(_CHUNKS)), default=-1)
        name = f"{number:08d}-{hashlib.sha256(body).hexdigest()[:32]}.safetensors"
        with atomic_file(self.folder / name) as temporary:
            temporary.write_bytes(body)

    def gather(self, digests: Digests) -> Floats:
        """Vectors float32 `(n, d)` of these images, all of which must be present."""
        at = np.searchsorted(self._digests, digests)
        out = np.empty((len(digests), self.dim), np.float32)
        for chunk in np.unique(self._chunk_of[at]):
            rows = np.flatnonzero(self._chunk_of[at] == chunk)
            out[rows] = self._vectors(int(chunk))[self._row_of[at[rows]]]
        return out

    def _vectors(self, chunk: int) -> Floats:
        if chunk not in self._open:
            if len(self._open) >= _OPEN_CHUNKS:
                self._open.popitem(last=False)
            self._open[chunk] = _read(self._chunks[chunk], "X")
        self._open.move_to_end(chunk)
        return self._open[chunk]


def _read(path: Path, name: str) -> npt.NDArray[Any]:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as tensors:
        return tensors.get_tensor(name)
