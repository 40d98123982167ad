"""Stable Diffusion with a low-rank adapter (LoRA) on the attention of its U-Net, one at a time.

References
----------
Rombach et al. (2022), arXiv:2112.10752 (latent diffusion); Hu et al. (2022), arXiv:2106.09685
(LoRA).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bloomdiff.data.images import Pixels
from bloomdiff.encoders.network import resolve_device
from bloomdiff.errors import ParameterError
from bloomdiff.generators.base import Arrays
from bloomdiff.generators.lora_training import LoraTraining, train_adapter
from bloomdiff.imaging.diffusers_import import import_diffusers
from bloomdiff.imaging.pixels import to_pixels
from bloomdiff.threads import one_torch_thread
from bloomdiff.torch_state import seeded_globally

ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
_ADAPTER = "default"


class ClassLora:
    """A frozen Stable Diffusion pipeline, and the adapter that its U-Net carries now.

    Parameters
    ----------
    folder
        Weights in diffusers' layout.
    rank
        Of the adapter.
    device
        "cpu", "cuda" or "auto".
    """

    def __init__(self, folder: Path, rank: int, *, device: str) -> None:
        self.rank, self.device = rank, resolve_device(device)
        self._pipeline = _load(folder).to(self.device)
        for network in (self._pipeline.unet, self._pipeline.vae, self._pipeline.text_encoder):
            network.requires_grad_(False).eval()

    def train(
        self,
        images: Pixels,
        prompt: str,
        how: LoraTraining,
        *,
        seed: int,
        progress: Callable[[float], object] | None = None,
    ) -> tuple[Arrays, list[float]]:
        """Train a new adapter to denoise the latents of `images`.

        Parameters
        ----------
        images
            uint8 RGB `(n, s, s, 3)`.
        prompt
            What the U-Net is told.
        how
            The training.
        seed
            Seed of the adapter, the batches and the noise.
        progress
            Called after each step with its loss.

        Returns
        -------
        tuple
            The adapter as named arrays, and the loss of each step.

        Raises
        ------
        ParameterError
            The loss is no longer finite.
        """
        with self._threads():
            self._fresh_adapter(seed)
            losses = train_adapter(
                self._pipeline, images, prompt, how, seed=seed, progress=progress
            )
        return self._adapter(), losses

    def use(self, adapter: Arrays) -> None:
        """Let the U-Net carry this adapter, as `train` returned it."""
        from peft import set_peft_model_state_dict

        if not self._has_adapter():
            self._fresh_adapter(0)
        state = {name: torch.from_numpy(value.copy()) for name, value in adapter.items()}
        set_peft_model_state_dict(self._pipeline.unet, state, adapter_name=_ADAPTER)

    def draw(
        self,
        prompt: str,
        seeds: Sequence[int],
        *,
        size: int,
        n_steps: int,
        guidance: float,
        batch_size: int,
    ) -> Pixels:
        """Draw one image per seed, uint8 RGB `(n, size, size, 3)`; each depends on its seed alone.

        A last batch is filled up, so that the arithmetic is the same however many are asked for.
        """
        parts = []
        with self._threads(), torch.inference_mode():
            for start in range(0, len(seeds), batch_size):
                own = list(seeds[start : start + batch_size])
                filled = own + [0] * (batch_size - len(own))
                found = self._pipeline(
                    prompt=[prompt] * batch_size,
                    height=size,
                    width=size,
                    num_inference_steps=n_steps,
                    guidance_scale=guidance,
                    generator=[torch.Generator().manual_seed(seed) for seed in filled],
                    output_type="pt",
                ).images
                parts.append(to_pixels(2 * found[: len(own)] - 1))
        return np.concatenate(parts) if parts else np.empty((0, size, size, 3), np.uint8)

    # ------------------------------------------------------------------------------- inside
    def _has_adapter(self) -> bool:
        return bool(getattr(self._pipeline.unet, "peft_config", {}))

    def _fresh_adapter(self, seed: int) -> None:
        """An adapter that changes nothing yet, in place of the one that is there."""
        from peft import LoraConfig

        config = LoraConfig(
            r=self.rank,
            lora_alpha=self.rank,
            init_lora_weights="gaussian",
            target_modules=ATTENTION,
        )
        unet = self._pipeline.unet
        if self._has_adapter():
            unet.delete_adapters(_ADAPTER)
        with seeded_globally(seed, devices=[]):
            unet.add_adapter(config, adapter_name=_ADAPTER)

    def _adapter(self) -> Arrays:
        from peft import get_peft_model_state_dict

        state = get_peft_model_state_dict(self._pipeline.unet, adapter_name=_ADAPTER)
        return {name: value.detach().cpu().numpy().copy() for name, value in state.items()}

    @contextmanager
    def _threads(self) -> Iterator[None]:
        # Bits must not depend on the number of cores.
        with one_torch_thread() if self.device.type == "cpu" else nullcontext():
            yield


def _load(folder: Path) -> Any:
    diffusers = import_diffusers()
    for name in ("transformers", "peft"):
        if find_spec(name) is None:
            raise ParameterError(
                "generator 'stable-diffusion-lora'",
                f"needs the package {name}, which is not installed",
                "run `pip install 'bloomdiff[image-space]'`",
            )
    import transformers

    for library in (diffusers, transformers):
        logging: Any = library.utils.logging
        logging.disable_progress_bar()
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(
        folder,
        use_safetensors=True,
        local_files_only=True,
        # It judges photographs of people, and blackens what it takes offence at.
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
