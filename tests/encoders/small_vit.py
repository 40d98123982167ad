"""A random two-block ViT/14 on 28 px: every code path of the real ones, in milliseconds."""

from __future__ import annotations

import time
from typing import Any

import torch

from bloomdiff.encoders.network import NetworkEncoder
from bloomdiff.encoders.params import EncoderParams
from bloomdiff.encoders.timm_import import import_timm
from bloomdiff.encoders.vit import vit_encoder

SMALL = "vit_small_patch14_dinov2"
OPTIONS = {"depth": 2}


def random_model(architecture: str = SMALL, image_size: int = 28, **options: Any) -> Any:
    """timm's model with random weights in which no part is negligible."""
    timm = import_timm()
    model = timm.create_model(
        architecture, num_classes=0, img_size=image_size, **{**OPTIONS, **options}
    )
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.05)
        for block in model.blocks:
            # The published scale of 1e-5 would hide an error in attention or MLP.
            block.ls1.gamma.add_(0.5)
            block.ls2.gamma.add_(0.5)
    return model.eval()


def small_vit(**params: Any) -> NetworkEncoder:
    """`random_model` as an encoder, in float32 whatever the processor has."""
    given = {"name": "small", "image_size": 28, "batch_size": 4, "precision": "float32", **params}
    return vit_encoder(
        "small",
        SMALL,
        dict(random_model().state_dict()),
        EncoderParams(**given),
        where="memory",
        device="cpu",
        model_options=OPTIONS,
    )


def slow_vit(seconds: float, **params: Any) -> NetworkEncoder:
    """`small_vit` that takes at least so long for every batch."""
    encoder = small_vit(**params)
    quick = encoder._forward

    def crawl(images: Any) -> Any:
        time.sleep(seconds)
        return quick(images)

    encoder._forward = crawl  # type: ignore[method-assign]
    return encoder
