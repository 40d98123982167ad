"""The decoder: images for embeddings, learned from the training fold's cells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from bloomdiff.imaging.config import ImageDiffusionConfig

if TYPE_CHECKING:
    from bloomdiff.data.embedding_set import EmbeddingSet
    from bloomdiff.data.images import Pixels
    from bloomdiff.imaging.model import ImageDiffusion


class DecoderParams(BaseModel):
    """Hyper-parameters of the decoder; `ImageDiffusionConfig` describes them.

    `width` is that of the U-Net's first resolution; the two others have twice and thrice as much.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    image_size: int = Field(ge=16, le=256, multiple_of=8)
    width: int = Field(ge=16, multiple_of=16)
    n_steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    condition_noise: float = Field(ge=0)
    sampling_steps: int = Field(ge=2)
    guidance: float = Field(ge=0)

    @property
    def config(self) -> ImageDiffusionConfig:
        """The image diffusion that they describe."""
        return ImageDiffusionConfig(
            image_size=self.image_size,
            widths=(self.width, 2 * self.width, 3 * self.width),
            n_steps=self.n_steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            condition_noise=self.condition_noise,
            sampling_steps=self.sampling_steps,
            guidance=self.guidance,
        )


def fit_decoder(
    train: EmbeddingSet,
    images: Pixels,
    params: DecoderParams,
    *,
    seed: int,
    device: str = "cpu",
    checkpoint_dir: Path | None = None,
) -> ImageDiffusion:
    """Learn to draw cells from their embeddings; no label is looked at.

    Parameters
    ----------
    train
        Embeddings of training cells.
    images
        The same cells, uint8 RGB `(n, s, s, 3)` with s the `image_size`.
    params
        Hyper-parameters.
    seed, device, checkpoint_dir
        As for `ImageDiffusion`.

    Returns
    -------
    ImageDiffusion
        Fitted, with the fingerprint of `train`.
    """
    from bloomdiff.imaging.model import ImageDiffusion

    return ImageDiffusion(params.config, device=device).fit(
        images,
        train.X,
        fingerprint=train.fingerprint,
        seed=seed,
        checkpoint_dir=checkpoint_dir,
    )
