"""Names to frozen encoders, and cells to embeddings; torch is imported when a network loads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

# The modules register themselves when imported.
from bloomdiff.encoders import colour_histogram, dinobloom, dinov2, timm_models
from bloomdiff.encoders.base import ENCODERS, Encoder, EncoderCard, load_encoder, unnamed_weights
from bloomdiff.encoders.params import EncoderParams

if TYPE_CHECKING:
    from bloomdiff.encoders.embed import embed_cells

__all__ = [
    "ENCODERS",
    "Encoder",
    "EncoderCard",
    "EncoderParams",
    "embed_cells",
    "load_encoder",
    "unnamed_weights",
]


def __getattr__(name: str) -> Any:
    # Embedding brings pandas; listing the encoders should not wait for it.
    if name == "embed_cells":
        from bloomdiff.encoders.embed import embed_cells

        return embed_cells
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
