"""timm vision transformers of DINOv2's kind: built, filled strictly, pooled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from bloomdiff.encoders.checkpoints import State, load_strictly, state_digest
from bloomdiff.encoders.network import NetworkEncoder
from bloomdiff.encoders.params import EncoderParams
from bloomdiff.encoders.pooling import TokenPooling
from bloomdiff.encoders.resample import resample_positions
from bloomdiff.encoders.timm_import import import_timm
from bloomdiff.encoders.transform import Transform
from bloomdiff.errors import ParameterError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
PATCH = 14


def dinov2_layout(state: State) -> State:
    """DINOv2's own names to timm's: the giant's SwiGLU, and registers where there are any."""
    renamed = {
        key.replace(".mlp.w12.", ".mlp.fc1.").replace(".mlp.w3.", ".mlp.fc2."): value
        for key, value in state.items()
    }
    cls: Any = renamed.get("cls_token")
    positions: Any = renamed.get("pos_embed")
    # Where these are missing or of other shapes, strict loading tells of it.
    whole = cls is not None and positions is not None and positions.ndim == 3
    if "register_tokens" in renamed and whole and cls.shape[-1] == positions.shape[-1]:
        renamed["reg_token"] = renamed.pop("register_tokens")
        # timm adds the class token's position to the token itself where there are registers.
        renamed["cls_token"] = cls + positions[:, :1]
        renamed["pos_embed"] = positions[:, 1:]
    return renamed


def vit_encoder(
    name: str,
    architecture: str,
    state: State,
    params: EncoderParams,
    *,
    where: str,
    device: str,
    layers: tuple[int, ...] | None = None,
    image_size: int = 224,
    model_options: dict[str, Any] | None = None,
) -> NetworkEncoder:
    """Build a ViT/14 encoder from weights in timm's layout.

    Parameters
    ----------
    name
        Registered name.
    architecture
        timm's model name.
    state
        Weights; the position embedding is resampled to the input size.
    params
        As given by the user.
    where
        File of the weights, for messages.
    device
        torch device name, or "auto".
    layers
        Blocks whose features are taken unless `params` says otherwise; the last where None.
    image_size
        Side in pixels unless `params` says otherwise.
    model_options
        Passed to timm.
    """
    size = params.image_size or image_size
    if size % PATCH:
        raise ParameterError(
            f"encoder {name!r} image_size",
            f"must be a multiple of the patch size {PATCH}, however: {size}",
            f"set {max(1, round(size / PATCH)) * PATCH}",
        )
    digest = state_digest(state)
    timm = import_timm()
    model = timm.create_model(
        architecture, pretrained=False, num_classes=0, img_size=size, **(model_options or {})
    )
    resampled = _resampled(state, size // PATCH)
    load_strictly(model, resampled, where, architecture)
    pooled, features = token_pooling(name, model, params, layers)
    if "reg_token" in state and resampled is not state:
        # Without this, vectors from before they were smoothed would be found in the cache.
        features["positions"] = "antialiased"
    return NetworkEncoder(
        name,
        pooled,
        digest=digest,
        transform=Transform(size),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        features=features,
        params=params,
        device=device,
    )


def _resampled(state: State, grid: int) -> State:
    """The weights with positions for so many patches a side; the same where none are needed."""
    given = state.get("pos_embed")
    if given is None or given.ndim != 3:
        return state
    registers = "reg_token" in state
    found = resample_positions(given, grid, 0 if registers else 1, antialias=registers)
    return state if found is given else {**state, "pos_embed": found}


def token_pooling(
    name: str, model: Any, params: EncoderParams, layers: tuple[int, ...] | None
) -> tuple[torch.nn.Module, dict[str, Any]]:
    """Wrap a timm vision transformer by the pooling asked for; also say it in plain data."""
    depth = len(model.blocks)
    chosen = tuple(sorted(set(params.layers or layers or (depth,))))
    if chosen[-1] > depth:
        raise ParameterError(
            f"encoder {name!r} layers", f"has {depth} blocks, however: {chosen}", "name fewer"
        )
    pooling = "cls" if params.pooling == "auto" else params.pooling
    return TokenPooling(model, chosen, pooling), {"pooling": pooling, "layers": list(chosen)}


def default_file(cache_dir: Path, file_name: str) -> Path:
    """Where a checkpoint is looked for when no parameter names one."""
    return cache_dir / "weights" / file_name
