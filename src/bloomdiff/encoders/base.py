"""The `Encoder` contract, the registry, and `load_encoder`."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bloomdiff.encoders.checkpoints import State
from bloomdiff.encoders.params import EncoderParams
from bloomdiff.encoders.transform import Pixels, Transform
from bloomdiff.errors import InputError, ParameterError
from bloomdiff.files import to_json
from bloomdiff.registry import Registry

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class EncoderCard:
    """What a reader must know before choosing an encoder; told by `bloomdiff encoders`."""

    dim: int | None
    image_size: int | None
    licence: str
    source: str
    trained_on: str


class Encoder(ABC):
    """A frozen map from images to vectors.

    A row depends on its own image alone: batches are padded to `batch_size`, so that the
    arithmetic is the same whichever images are encoded together.

    Attributes
    ----------
    name
        Registered name.
    dim
        Dimension d of the vectors.
    digest
        SHA-256 of the weights, hexadecimal.
    preprocessing
        Everything besides the weights that changes a vector's bits; plain data.
    batch_size
        Images in one forward pass.
    transform
        What is done to a decoded image first; small and picklable, for the decoding workers.
    """

    name: str
    dim: int
    digest: str
    preprocessing: dict[str, Any]
    transform: Transform
    params: EncoderParams
    batch_size: int
    learned: bool = True

    @abstractmethod
    def _forward(self, images: Sequence[Pixels]) -> Floats:
        """Vectors float32 `(b, d)` of `b <= batch_size` transformed images."""

    @property
    def header(self) -> dict[str, Any]:
        """What an `EmbeddingSet` made by this encoder says about its origin."""
        return {
            "encoder": self.name,
            "digest": self.digest,
            "preprocessing": self.preprocessing,
        }

    @property
    def key(self) -> str:
        """Name of this encoder's cache: equal keys, equal vectors."""
        return hashlib.sha256(to_json(self.header).encode()).hexdigest()[:24]

    def encode(self, batch: npt.NDArray[np.uint8] | Sequence[Pixels]) -> Floats:
        """Encode images of any size.

        Parameters
        ----------
        batch
            uint8 RGB `(b, h, w, 3)`, or a sequence of `(h, w, 3)` of differing sizes.

        Returns
        -------
        numpy.ndarray
            float32 `(b, d)`.

        Raises
        ------
        InputError
            A vector is not finite.
        """
        images = [self.transform(_checked(image)) for image in batch]
        with self.session():
            parts = [
                self.encode_transformed(images[start : start + self.batch_size])
                for start in range(0, len(images), self.batch_size)
            ]
        return np.concatenate(parts) if parts else np.empty((0, self.dim), np.float32)

    def encode_transformed(self, images: Sequence[Pixels]) -> Floats:
        """`encode` for at most `batch_size` images that `transform` has already seen."""
        vectors = self._forward(images)
        bad = np.logical_not(np.isfinite(vectors).all(axis=1))
        if bad.any():
            raise InputError(
                f"encoder {self.name!r}",
                f"gives vectors that are not finite ({int(bad.sum())} of {len(vectors)})",
                "use precision float32, or another checkpoint: this one is damaged",
            )
        return vectors

    @property
    def streams(self) -> int:
        """Batches worth computing at once, each on a thread of its own."""
        return 1

    @contextmanager
    def session(self) -> Iterator[None]:
        """Enclose the encoding of many batches; networks arrange their threads here."""
        yield


def _checked(image: npt.NDArray[Any]) -> Pixels:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"images must be uint8 (h, w, 3), however: {image.dtype} {image.shape}")
    return image


Load = Callable[[EncoderParams, str, Path], Encoder]
Weights = Callable[[EncoderParams, Path], State]


@dataclass(frozen=True)
class EncoderEntry:
    """One registered encoder: its card, how to load it, and its weights where no file is named."""

    card: EncoderCard
    load: Load
    weights: Weights | None = None


ENCODERS: Registry[EncoderEntry] = Registry("encoder")


def register_encoder(
    name: str, card: EncoderCard, *, weights: Weights | None = None
) -> Callable[[Load], Load]:
    """Return a decorator that files a loading function and its card under `name`.

    A name that ends in a colon is a family: ``timm:`` answers for ``timm:resnet18``.

    Parameters
    ----------
    name, card
        What is listed.
    weights
        For an encoder whose weights need not be named by the user: gives them, with the digest
        that the encoder has, as a file in `checkpoint` would hold them.
    """

    def add(load: Load) -> Load:
        ENCODERS.register(name)(EncoderEntry(card, load, weights))
        return load

    return add


def load_encoder(params: EncoderParams, *, device: str = "auto", cache_dir: str | Path) -> Encoder:
    """Load an encoder by name.

    Parameters
    ----------
    params
        Which encoder, and how it is used.
    device
        "cpu", "cuda", "cuda:1" or "auto" (a GPU where there is one).
    cache_dir
        Where converted weights are kept.

    Raises
    ------
    ParameterError
        An unknown name, or a parameter that this encoder cannot honour.
    InputError
        Weights that are missing, damaged, or of another architecture.
    IntegrityError
        Weights whose checksum is not the known one.
    """
    return _entry(params).load(params, device, Path(cache_dir))


def unnamed_weights(params: EncoderParams, cache_dir: str | Path) -> State | None:
    """The weights of an encoder that finds them by itself, as on a hub; None where it has none.

    Raises
    ------
    ParameterError
        An unknown name.
    InputError
        The weights cannot be had.
    """
    weights = _entry(params).weights
    return None if weights is None else weights(params, Path(cache_dir))


def _entry(params: EncoderParams) -> EncoderEntry:
    head, colon, rest = params.name.partition(":")
    if colon and not rest:
        raise ParameterError(
            f"encoder {params.name!r}", "names nothing after the colon", "add a model name or path"
        )
    return ENCODERS[head + colon]
