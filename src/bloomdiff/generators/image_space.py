"""Generators that sample images, which the pipeline's encoder embeds: the other way to do it."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from bloomdiff.data.embedding_set import Floats
from bloomdiff.data.images import Pixels
from bloomdiff.errors import ParameterError
from bloomdiff.generators.base import GENERATORS, Arrays, Generator, GeneratorParams
from bloomdiff.imaging.config import ImageDiffusionConfig

if TYPE_CHECKING:
    from bloomdiff.generators.cell_images import CellImages
    from bloomdiff.imaging import ImageDiffusion

_DEFAULT = ImageDiffusionConfig()


class ImageSpaceGenerator(Generator):
    """Learns from the training rows' images; its samples are images, and then embeddings.

    The rows meet the same classifiers, ratios, metrics and leak guard as those of any other
    generator. An unlabelled pool is not looked at.
    """

    needs_images = True
    whitens = False  # its network takes the embeddings as they are

    @property
    def drawn_together(self) -> int | None:
        """Images of a class that are drawn before any is embedded; None: all.

        With a number, drawing `n` of them is drawing some, and then the others.
        """
        return None

    @abstractmethod
    def _learn(self, images: CellImages, y: npt.NDArray[np.intp]) -> None:
        """Learn from the images of the rows `_cell_id` with class indices `y` `(n,)`."""

    @abstractmethod
    def draw_images(self, index: int, n: int, rng: np.random.Generator) -> Pixels:
        """Draw `n` images of class `index`, uint8 RGB `(n, s, s, 3)`; image k whatever `n` is."""

    def _fit(self, X: Floats, y: npt.NDArray[np.intp], X_unlabelled: Floats | None) -> None:
        self._learn(self._given_images(), y)

    def _sample_class(self, index: int, n: int, rng: np.random.Generator) -> Floats:
        images, step = self._given_images(), self.drawn_together or n
        parts = [
            images.embed(self.draw_images(index, min(step, n - start), rng))
            for start in range(0, n, step)
        ]
        return np.concatenate(parts)

    def _training_squares(self, images: CellImages, size: int) -> Pixels:
        if self._cell_id is None:
            raise ParameterError(
                f"generator {self.name!r}",
                "learns from images and was not told whose",
                "pass cell_id to fit",
            )
        return images.squares(self._cell_id, size, fingerprint=self.fingerprint)

    def _given_images(self) -> CellImages:
        if self.images is None:
            raise ParameterError(
                f"generator {self.name!r}",
                "works on images and was given none",
                "set its `images` to the cells' images and their encoder",
            )
        return self.images


class ImageDiffusionParams(GeneratorParams):
    """Hyper-parameters of the image diffusion; `ImageDiffusionConfig` describes them."""

    image_size: int = Field(default=_DEFAULT.image_size, ge=8)
    patch: int = Field(default=_DEFAULT.patch, ge=1)
    widths: tuple[int, ...] = Field(default=_DEFAULT.widths, min_length=1)
    layers: int = Field(default=_DEFAULT.layers, ge=1)
    n_steps: int = Field(default=_DEFAULT.n_steps, ge=1)
    batch_size: int = Field(default=_DEFAULT.batch_size, ge=1)
    learning_rate: float = Field(default=_DEFAULT.learning_rate, gt=0)
    weight_decay: float = Field(default=_DEFAULT.weight_decay, ge=0)
    ema_decay: float = Field(default=_DEFAULT.ema_decay, ge=0, lt=1)
    condition_dropout: float = Field(default=_DEFAULT.condition_dropout, ge=0, lt=1)
    turns: bool = _DEFAULT.turns
    sampling_steps: int = Field(default=_DEFAULT.sampling_steps, ge=2)
    guidance: float = Field(default=_DEFAULT.guidance, ge=0)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        self.config()
        return self

    def config(self) -> ImageDiffusionConfig:
        """The same for `ImageDiffusion`."""
        return ImageDiffusionConfig(**self.model_dump())


@GENERATORS.register("image-diffusion")
class ImageDiffusionGenerator(ImageSpaceGenerator):
    """A class-conditional image diffusion from scratch (`ImageDiffusion`), told the class one-hot.

    EDM (Karras et al. 2022, arXiv:2206.00364) on a small U-Net of diffusers: what a laboratory
    without a foundation model of images can train on its own cells.
    """

    name = "image-diffusion"
    Params = ImageDiffusionParams
    params: ImageDiffusionParams

    @property
    def guidance(self) -> float:
        """Guidance scale of the samples."""
        return self.params.guidance

    def _learn(self, images: CellImages, y: npt.NDArray[np.intp]) -> None:
        self._model = self._empty().fit(
            self._training_squares(images, self.params.image_size),
            np.eye(len(self.classes_), dtype=np.float32)[y],
            fingerprint=self.fingerprint,
            seed=self.seed,
            checkpoint_dir=self.checkpoint_dir,
        )

    def draw_images(self, index: int, n: int, rng: np.random.Generator) -> Pixels:
        """Draw `n` images of class `index`, uint8 RGB `(n, s, s, 3)`."""
        told = np.eye(len(self.classes_), dtype=np.float32)[np.full(n, index)]
        return self._model.sample(told, seed=int(rng.integers(2**63)))

    def _empty(self) -> ImageDiffusion:
        from bloomdiff.imaging import ImageDiffusion

        return ImageDiffusion(self.params.config(), device=self.device)

    def _state(self) -> Arrays:
        return self._model.state()

    def _restore(self, state: Arrays) -> None:
        self._model = self._empty().restore(state, self.fingerprint)
