"""``timm:<model name>`` with timm's own data config, and ``file:<path>``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bloomdiff.encoders.base import Encoder, EncoderCard, register_encoder
from bloomdiff.encoders.params import EncoderParams
from bloomdiff.errors import InputError, ParameterError
from bloomdiff.registry import nearest

if TYPE_CHECKING:
    from bloomdiff.encoders.checkpoints import State


def _weights(params: EncoderParams, cache_dir: Path) -> State:
    return dict(_model(params).state_dict())


@register_encoder(
    "timm:",
    EncoderCard(
        dim=None,
        image_size=None,
        licence="the model's own",
        source="Hugging Face hub through timm, or `checkpoint`",
        trained_on="the model's own",
    ),
    weights=_weights,
)
def load_timm(params: EncoderParams, device: str, cache_dir: Path) -> Encoder:
    """Any timm model: its own pooled features, or the tokens of a vision transformer."""
    from bloomdiff.encoders.checkpoints import state_digest
    from bloomdiff.encoders.network import NetworkEncoder
    from bloomdiff.encoders.timm_import import import_timm
    from bloomdiff.encoders.transform import Transform

    model = _model(params)
    digest = state_digest(model.state_dict())
    config = import_timm().data.resolve_model_data_config(model)
    size = params.image_size or int(config["input_size"][-1])
    network, features = _features(params, model)
    return NetworkEncoder(
        params.name,
        network,
        digest=digest,
        transform=Transform(
            size,
            "squash" if config["crop_mode"] == "squash" else "crop",
            config["interpolation"],
            float(config["crop_pct"]),
        ),
        mean=config["mean"],
        std=config["std"],
        features=features,
        params=params,
        device=device,
    )


def _model(params: EncoderParams) -> Any:
    """Timm's network without classifier, with the weights of the file or of the hub."""
    from bloomdiff.encoders.checkpoints import load_strictly, read_state
    from bloomdiff.encoders.hub import fetch_pretrained
    from bloomdiff.encoders.timm_import import import_timm

    timm = import_timm()
    model_name = params.name.removeprefix("timm:")
    if not timm.is_model(model_name):
        raise ParameterError(
            f"encoder {params.name!r}",
            "is no model of timm",
            nearest(model_name, timm.list_models())[:120],
        )
    options = {} if params.image_size is None else {"img_size": params.image_size}
    try:
        model = timm.create_model(model_name, pretrained=False, num_classes=0, **options)
    except TypeError:  # networks without positions take any size and know no `img_size`
        options = {}
        model = timm.create_model(model_name, pretrained=False, num_classes=0)
    if not params.checkpoint:
        return fetch_pretrained(params.name, model_name, _what_to_fetch(model), **options)
    state = read_state(Path(params.checkpoint), keep=model.state_dict())
    state = _resampled(_without_classifier(state, model), model)
    load_strictly(model, state, params.checkpoint, model_name)
    return model


def _without_classifier(state: State, model: Any) -> State:
    """The weights but for the classifier, which an encoder is built without."""
    classifier = model.pretrained_cfg.get("classifier") or ()
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    return {k: v for k, v in state.items() if k.rpartition(".")[0] not in heads}


def _resampled(state: State, model: Any) -> State:
    """The weights with positions for the model's grid, as timm makes them for weights it fetches.

    Where positions are of another kind they stay, and strict loading tells of them.
    """
    from bloomdiff.encoders.timm_import import import_timm

    layers, transformer = import_timm().layers, import_timm().models.VisionTransformer
    given = state.get("pos_embed")
    if not isinstance(model, transformer) or given is None or model.pos_embed is None:
        return state
    prefix = 0 if model.no_embed_class else model.num_prefix_tokens
    patches = given.shape[1] - prefix if given.ndim == 3 else 0
    if given.shape == model.pos_embed.shape or patches < 1 or math.isqrt(patches) ** 2 != patches:
        return state
    positions = layers.resample_abs_pos_embed(
        given, new_size=model.patch_embed.grid_size, num_prefix_tokens=prefix
    )
    return {**state, "pos_embed": positions}


def _what_to_fetch(model: Any) -> str:
    config = model.pretrained_cfg
    url = config.get("url")
    if config.get("hf_hub_id"):
        url = f"https://huggingface.co/{config['hf_hub_id']}/resolve/main/model.safetensors"
    return f"{url or 'its weights'} anywhere on this machine and set `checkpoint` to it"


def _features(params: EncoderParams, model: Any) -> tuple[Any, dict[str, Any]]:
    from bloomdiff.encoders.timm_import import import_timm
    from bloomdiff.encoders.vit import token_pooling

    transformer = import_timm().models.vision_transformer.VisionTransformer
    has_class_token = isinstance(model, transformer) and model.cls_token is not None
    if has_class_token and (params.pooling, params.layers) != ("auto", None):
        return token_pooling(params.name, model, params, None)
    if (params.pooling, params.layers) != ("auto", None):
        raise ParameterError(
            f"encoder {params.name!r} pooling",
            "can be chosen for vision transformers with a class token only",
            "remove `pooling` and `layers`",
        )
    return model, {"pooling": "the model's own"}


@register_encoder(
    "file:",
    EncoderCard(
        dim=None,
        image_size=224,
        licence="the file's own",
        source="a local checkpoint of a ViT/14 in DINOv2's or timm's layout",
        trained_on="the file's own",
    ),
)
def load_file(params: EncoderParams, device: str, cache_dir: Path) -> Encoder:
    """A local ViT/14 of DINOv2's family; its size is told by its shapes."""
    from bloomdiff.encoders.checkpoints import read_state
    from bloomdiff.encoders.vit import dinov2_layout, vit_encoder

    path = Path(params.name.removeprefix("file:"))
    if params.checkpoint:
        raise ParameterError(
            f"encoder {params.name!r}", "names its file twice", "remove `checkpoint`"
        )
    state = dinov2_layout(read_state(path))
    # The path differs from machine to machine; the weights' digest tells them apart.
    return vit_encoder(
        f"file:{path.name}",
        _architecture(state, str(path)),
        state,
        params,
        where=str(path),
        device=device,
    )


def _architecture(state: State, where: str) -> str:
    words = {384: "small", 768: "base", 1024: "large", 1536: "giant"}
    kernel = state.get("patch_embed.proj.weight")
    if kernel is None or kernel.ndim != 4 or kernel.shape[0] not in words or kernel.shape[-1] != 14:
        raise InputError(
            where,
            "is no ViT/14 of DINOv2's family",
            "use `timm:<architecture>` with `checkpoint` for another architecture",
        )
    registers = "_reg4" if "reg_token" in state else ""
    return f"vit_{words[kernel.shape[0]]}_patch14{registers}_dinov2"
