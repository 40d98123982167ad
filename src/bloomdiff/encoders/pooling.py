"""From a vision transformer's tokens to one vector: blocks, norm, pooling; nothing in vain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from bloomdiff.encoders.timm_import import import_timm


class TokenPooling(nn.Module):
    """Pooled features of chosen blocks of a timm `VisionTransformer`.

    Equal to `get_intermediate_layers(..., norm=True)` and pooling its tokens, but blocks after
    the last chosen one do not run, and where only the class token of the last one is wanted, its
    attention and MLP run for that token alone (its keys and values still come from all).

    Parameters
    ----------
    vit
        timm vision transformer.
    layers
        Blocks counted from 1, ascending.
    pooling
        "cls", "mean" (of the patch tokens) or "cls+mean".
    """

    def __init__(self, vit: Any, layers: Sequence[int], pooling: str) -> None:
        super().__init__()
        self.vit = vit
        # A module outside the chosen ones would only occupy memory.
        del vit.blocks[layers[-1] :]
        self.layers, self.pooling = tuple(layers), pooling
        self.prefix = int(vit.num_prefix_tokens)
        self.only_cls = pooling == "cls" and _is_plain(vit.blocks[-1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images `(b, 3, h, w)` to features `(b, len(layers) * d)`, twice that for cls+mean."""
        vit = self.vit
        x = vit.norm_pre(vit._pos_embed(vit.patch_embed(x)))
        features = []
        for number, block in enumerate(vit.blocks, start=1):
            if self.only_cls and number == self.layers[-1]:
                x = _class_token_block(block, x)
            else:
                x = block(x)
            if number in self.layers:
                features += self._pool(x)
        return torch.cat(features, dim=-1)

    def _pool(self, x: torch.Tensor) -> list[torch.Tensor]:
        if self.pooling == "cls":
            return [self.vit.norm(x[:, :1])[:, 0]]
        tokens = self.vit.norm(x)
        mean = tokens[:, self.prefix :].mean(dim=1)
        return [mean] if self.pooling == "mean" else [tokens[:, 0], mean]


def _is_plain(block: Any) -> bool:
    """Whether the block is the plain pre-norm block that `_class_token_block` reproduces."""
    timm = import_timm()
    plain = timm.models.vision_transformer.Block, timm.layers.Attention
    if (type(block), type(block.attn)) != plain:
        return False
    attention = block.attn
    extras = (attention.q_norm, attention.k_norm, attention.norm)
    return attention.gate is None and all(isinstance(m, nn.Identity) for m in extras)


def _class_token_block(block: Any, x: torch.Tensor) -> torch.Tensor:
    """`block(x)[:, :1]`, with queries, projection and MLP for the class token only."""
    attention = block.attn
    y = block.norm1(x)
    b, n, _ = y.shape
    heads, width = attention.num_heads, attention.num_heads * attention.head_dim
    weight, bias = attention.qkv.weight, attention.qkv.bias
    q = nn.functional.linear(y[:, :1], weight[:width], None if bias is None else bias[:width])
    kv = nn.functional.linear(y, weight[width:], None if bias is None else bias[width:])
    q = q.reshape(b, 1, heads, attention.head_dim).transpose(1, 2)
    k, v = kv.reshape(b, n, 2, heads, attention.head_dim).permute(2, 0, 3, 1, 4).unbind(0)
    out = nn.functional.scaled_dot_product_attention(q, k, v, scale=attention.scale)
    cls = x[:, :1] + block.ls1(attention.proj(out.transpose(1, 2).reshape(b, 1, width)))
    return cls + block.ls2(block.mlp(block.norm2(cls)))
