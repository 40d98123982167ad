"""Hyper-parameters of the image diffusion."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageDiffusionConfig:
    """Hyper-parameters of `ImageDiffusion`; the defaults are for about a thousand cells on a CPU.

    Attributes
    ----------
    image_size
        Side of the square images, pixels; a multiple of `patch` times 2 to the number of `widths`
        less one.
    patch
        Side of the squares of pixels that become the channels of one place (space to depth): 2
        makes a step four times cheaper than 1.
    widths
        Channels at each resolution of the U-Net, each half the one before; multiples of 16. The
        first are at least the 3 `patch`² values of one place, since the noise that the network
        has to tell fills as many dimensions.
    layers
        Residual blocks at each resolution.
    n_steps, batch_size, learning_rate, weight_decay
        Of AdamW; the rate warms up over a twentieth of the steps and falls to zero as a cosine.
    ema_decay
        Decay of the weights' moving average a step, after a warm-up.
    condition_dropout
        Probability of training an image without its vector, for classifier-free guidance.
    condition_noise
        Standard deviation of the normal noise added to the standardised vectors in training: a
        vector between those of training cells is then nothing new.
    turns
        Whether training images are mirrored and turned by right angles at random: a smear has no
        upright.
    log_sigma_mean, log_sigma_std
        Normal distribution of log σ in training, for pixels in [-1, 1].
    sigma_min, sigma_max
        Noise range of the sampler.
    sampling_steps
        Of the sampler, DPM-Solver++ (2M): one evaluation each, two with guidance.
    guidance
        Scale w: D = D_none + w (D_vector - D_none); 1 for none.
    """

    image_size: int = 64
    patch: int = 2
    widths: tuple[int, ...] = (64, 128, 192)
    layers: int = 1
    n_steps: int = 2000
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    ema_decay: float = 0.995
    condition_dropout: float = 0.1
    condition_noise: float = 0.0
    turns: bool = True
    log_sigma_mean: float = -0.8
    log_sigma_std: float = 1.2
    sigma_min: float = 0.02
    sigma_max: float = 40.0
    sampling_steps: int = 16
    guidance: float = 1.0

    def __post_init__(self) -> None:
        step = self.patch * 2 ** (len(self.widths) - 1)
        if self.image_size % step:
            raise ValueError(f"image_size must be a multiple of {step}, however: {self.image_size}")
        if any(width < 16 or width % 16 for width in self.widths):
            raise ValueError(f"widths must be multiples of 16, however: {self.widths}")
        values = 3 * self.patch**2
        if self.widths[0] < values:
            raise ValueError(
                f"the first of widths must be at least 3 patch² = {values},"
                f" however: {self.widths[0]}"
            )
        if self.n_steps < 1 or self.batch_size < 1:
            raise ValueError("n_steps and batch_size must be at least 1")
