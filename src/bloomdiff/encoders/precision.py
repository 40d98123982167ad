"""bfloat16 where it is fast and harmless, float32 elsewhere."""

from __future__ import annotations

import copy

import torch
from torch import nn

MAX_COSINE_CHANGE = 1e-3
_PROBES = 4


def choose_dtype(
    precision: str, network: nn.Module, size: int, device: torch.device
) -> torch.dtype:
    """Return the type in which `network` is to run.

    Parameters
    ----------
    precision
        "float32", "bfloat16", "int8" (whose images and features are float32), or "auto": bfloat16
        if the hardware multiplies it natively and no probe image's embedding moves by a cosine of
        more than `MAX_COSINE_CHANGE`.
    network
        float32, on `device`.
    size
        Side of its input in pixels.
    device
        Where it will run.
    """
    if precision != "auto":
        return torch.bfloat16 if precision == "bfloat16" else torch.float32
    if not has_bfloat16(device) or cosine_change(network, size, device) > MAX_COSINE_CHANGE:
        return torch.float32
    return torch.bfloat16


def has_bfloat16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16; emulation is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return False


def probe_images(size: int) -> torch.Tensor:
    """A few smooth images, normalised, float32 `(n, 3, size, size)`; always the same."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(_PROBES, 3, 8, 8, generator=generator)
    return nn.functional.interpolate(coarse, size=(size, size), mode="bicubic")


@torch.inference_mode()
def cosine_change(network: nn.Module, size: int, device: torch.device) -> float:
    """Largest `1 - cosine` between float32 and bfloat16 features of a few smooth probe images."""
    probes = probe_images(size).to(device)
    exact = network(probes)
    rounded = copy.deepcopy(network).to(torch.bfloat16)(probes.to(torch.bfloat16)).float()
    return float((1 - nn.functional.cosine_similarity(exact, rounded)).max())
