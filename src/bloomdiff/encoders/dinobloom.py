"""``dinobloom-s|b|l|g``: DINOv2 trained on single white blood cells.

V. Koch et al., "DinoBloom: A Foundation Model for Generalizable Cell Embeddings in Hematology",
MICCAI 2024, arXiv:2404.05022. A checkpoint is a dict whose ``teacher`` holds ``backbone.*`` and
two projection heads; its position embedding is that of 224 px, 16 x 16 patches and a class token.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bloomdiff.encoders.base import Encoder, EncoderCard, register_encoder
from bloomdiff.encoders.params import EncoderParams
from bloomdiff.errors import InputError

if TYPE_CHECKING:
    from bloomdiff.encoders.checkpoints import State

RECORD = "https://zenodo.org/records/10908163"
TOKENS = 257


@dataclass(frozen=True)
class Size:
    """One of the four published networks."""

    word: str
    dim: int
    # SHA-256 of the published file, where it is known.
    sha256: str | None = None

    @property
    def architecture(self) -> str:
        """Timm's name of the architecture."""
        return f"vit_{self.word}_patch14_dinov2"

    @property
    def hub(self) -> str:
        """Timm's name of the weights on the Hugging Face hub."""
        return f"hf-hub:1aurent/vit_{self.word}_patch14_224.dinobloom"


SIZES = {
    "s": Size("small", 384, "c2f7990b003e89bcece80e379fb8fe0ba2ec392ce19b286e8a294abd99568e44"),
    "b": Size("base", 768),
    "l": Size("large", 1024),
    "g": Size("giant", 1536),
}


def load_size(
    letter: str,
    params: EncoderParams,
    device: str,
    cache_dir: Path,
    model_options: dict[str, Any] | None = None,
) -> Encoder:
    """Load the network of this size, from a file where there is one, else from the hub."""
    from bloomdiff.encoders.vit import vit_encoder

    size, name = SIZES[letter], f"dinobloom-{letter}"
    where, state = _state(letter, params, cache_dir)
    positions = state.get("pos_embed")
    if positions is None or tuple(positions.shape) != (1, TOKENS, size.dim):
        shape = "is missing" if positions is None else f"is {tuple(positions.shape)}"
        raise InputError(
            where,
            f"is not a {name} (its position embedding {shape}, not (1, {TOKENS}, {size.dim}))",
            "name a checkpoint of that size",
        )
    return vit_encoder(
        name,
        size.architecture,
        state,
        params,
        where=where,
        device=device,
        model_options=model_options,
    )


def _state(letter: str, params: EncoderParams, cache_dir: Path) -> tuple[str, State]:
    """Where the weights come from, and they in timm's layout."""
    from bloomdiff.encoders.hub import fetch_pretrained
    from bloomdiff.encoders.vit import default_file, dinov2_layout

    size = SIZES[letter]
    usual = default_file(cache_dir, f"DinoBloom-{letter.upper()}.pth")
    path = Path(params.checkpoint) if params.checkpoint else usual
    if params.checkpoint or usual.exists():
        return str(path), dinov2_layout(_from_file(size, path))
    mend = f"the checkpoint of {RECORD} as {usual}, or set `checkpoint` to it"
    model = fetch_pretrained(f"dinobloom-{letter}", size.hub, mend)
    return size.hub, dict(model.state_dict())


def _from_file(size: Size, path: Path) -> State:
    from bloomdiff.encoders.checkpoints import check_sha256, read_state

    if size.sha256 is not None:
        check_sha256(path, size.sha256)
    return read_state(path)


def _register(letter: str) -> None:
    size = SIZES[letter]
    card = EncoderCard(
        dim=size.dim,
        image_size=224,
        licence="Apache-2.0",
        source=f"Zenodo 10908163 or {size.hub.removeprefix('hf-hub:')}",
        trained_on="13 sets of blood and bone-marrow cells",
    )

    def weights(params: EncoderParams, cache_dir: Path) -> State:
        return _state(letter, params, cache_dir)[1]

    @register_encoder(f"dinobloom-{letter}", card, weights=weights)
    def load(params: EncoderParams, device: str, cache_dir: Path) -> Encoder:
        return load_size(letter, params, device, cache_dir)


for _letter in SIZES:
    _register(_letter)
