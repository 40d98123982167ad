"""The knobs of an encoder, as they stand under ``embed`` in ``params.yaml``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Pooling = Literal["auto", "cls", "mean", "cls+mean"]
Tta = Literal["none", "rotations", "dihedral"]
Precision = Literal["auto", "float32", "bfloat16", "int8"]


class EncoderParams(BaseModel):
    """Which frozen encoder turns images into vectors, and how; an unknown key is an error.

    Attributes
    ----------
    name
        A name that `bloomdiff encoders` lists, ``timm:<model name>`` or ``file:<path>``.
    checkpoint
        File of weights, where the name alone does not say where they are.
    image_size
        Side of the square input in pixels; the encoder's own where None.
    pooling
        ``cls``: the class token; ``mean``: the mean of the patch tokens; ``cls+mean``: both,
        concatenated; ``auto``: the class token where the network has one, else its own pooling.
    layers
        Transformer blocks, counted from 1, whose features (after the final norm) are
        concatenated; the encoder's own choice where None.
    tta
        Test-time averaging over the views that a cell has no reason to prefer: ``rotations`` by
        quarter turns (4 views), ``dihedral`` with reflections (8 views).
    precision
        ``auto`` is bfloat16 where the processor has it in hardware and no probe embedding moves
        by more than a cosine of 1e-3, else float32. ``int8`` runs the linear layers in 8 bits
        through OpenVINO (extra ``[fast]``), on a processor alone, and is refused where a probe
        embedding moves by more than that.
    views
        Random views of each cell (turned, zoomed, stained and lit otherwise) that are embedded
        too, for `bloomdiff.data.view_whitening`; 0 for none.
    batch_size
        Images in one forward pass, to which the last batch is padded; None is 8 on a processor,
        whose caches they fit, and 128 on a GPU.
    engine
        ``local``: this machine; ``ray``: a Ray cluster.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "dinov2-s"
    checkpoint: str | None = None
    image_size: Annotated[int, Field(ge=14, le=4096)] | None = None
    pooling: Pooling = "auto"
    layers: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(default=None, min_length=1)
    tta: Tta = "none"
    views: Annotated[int, Field(ge=0)] = 4
    precision: Precision = "auto"
    batch_size: Annotated[int, Field(ge=1)] | None = None
    engine: Literal["local", "ray"] = "local"
