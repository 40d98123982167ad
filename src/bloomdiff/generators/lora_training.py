"""Training the adapter that a Stable Diffusion pipeline's U-Net carries.

References
----------
Ho et al. (2020), arXiv:2006.11239, equation 14 (the loss), on the latents of Rombach et al.
(2022), arXiv:2112.10752.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bloomdiff.data.images import Pixels
from bloomdiff.errors import ParameterError
from bloomdiff.imaging.diffusers_import import import_diffusers
from bloomdiff.imaging.pixels import to_tensor


@dataclass(frozen=True)
class LoraTraining:
    """How one adapter is trained.

    Attributes
    ----------
    n_steps, batch_size, learning_rate, weight_decay
        Of AdamW; the rate warms up over a quarter of the steps and falls to zero as a cosine.
    """

    n_steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float


@torch.enable_grad()
def train_adapter(
    pipeline: Any,
    images: Pixels,
    prompt: str,
    how: LoraTraining,
    *,
    seed: int,
    progress: Callable[[float], object] | None = None,
) -> list[float]:
    """Train what requires gradients in the pipeline's U-Net to predict the noise in latents.

    Parameters
    ----------
    pipeline
        A `StableDiffusionPipeline`.
    images
        uint8 RGB `(n, s, s, 3)`.
    prompt
        What the U-Net is told.
    how
        The training.
    seed
        Seed of the batches and the noise.
    progress
        Called after each step with its loss.

    Returns
    -------
    list of float
        The loss of each step.

    Raises
    ------
    ParameterError
        The loss is no longer finite.
    """
    diffusers = import_diffusers()
    optimization: Any = diffusers.optimization
    schedule = diffusers.DDPMScheduler.from_config(pipeline.scheduler.config)
    draw, n, device = torch.Generator().manual_seed(seed), how.batch_size, pipeline.device
    mean, spread = _latents(pipeline, images, n)
    told = _told(pipeline, prompt).expand(n, -1, -1)
    weights = [weight for weight in pipeline.unet.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=how.learning_rate, weight_decay=how.weight_decay)
    rate = optimization.get_cosine_schedule_with_warmup(optimizer, how.n_steps // 4, how.n_steps)
    losses: list[float] = []
    for step in range(how.n_steps):
        rows = torch.randint(len(images), (n,), generator=draw)
        own, noise = torch.randn((2, n, *mean.shape[1:]), generator=draw)
        time = torch.randint(schedule.config.num_train_timesteps, (n,), generator=draw)
        clean = (mean[rows] + spread[rows] * own) * pipeline.vae.config.scaling_factor
        clean, noise, time = clean.to(device), noise.to(device), time.to(device)
        wanted = noise
        if schedule.config.prediction_type == "v_prediction":
            wanted = schedule.get_velocity(clean, noise, time)
        found = pipeline.unet(schedule.add_noise(clean, noise, time), time, told).sample
        loss: Any = nn.functional.mse_loss(found, wanted)
        if not bool(loss.isfinite()):
            raise ParameterError(
                f"the LoRA of {prompt!r}, step {step}",
                f"has a loss of {float(loss.detach())}",
                "lower the learning rate",
            )
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        rate.step()
        losses.append(float(loss.detach()))
        if progress is not None:
            progress(losses[-1])
    return losses


@torch.no_grad()
def _latents(pipeline: Any, images: Pixels, batch_size: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each image's latents, `(n, 4, s / 8, s / 8)`."""
    found = [
        pipeline.vae.encode(to_tensor(images[i : i + batch_size]).to(pipeline.device)).latent_dist
        for i in range(0, len(images), batch_size)
    ]
    mean = torch.cat([part.mean for part in found]).cpu()
    return mean, torch.cat([part.std for part in found]).cpu()


@torch.no_grad()
def _told(pipeline: Any, prompt: str) -> Tensor:
    """The prompt as the text encoder's words `(1, length, d)`."""
    words, _ = pipeline.encode_prompt(prompt, pipeline.device, 1, False)
    found: Tensor = words
    return found
