"""``timm:<model name>`` with timm's own data config, and ``file:<path>``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bloomdiff.encoders.base import Encoder, EncoderCard, register_encoder
from bloomdiff.encoders.params import EncoderParams
from bloomdiff.errors import InputError, ParameterError
from bloomdiff.registry import nearest

if TYPE_CHECKING:
    from bloomdiff.encoders.checkpoints import State

# What timm's networks raise where they are built for, or given, images that they cannot take.
_SIZE_ERRORS = (ArithmeticError, AssertionError, LookupError, RuntimeError, ValueError)


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
    from bloomdiff.encoders.timm_fit import fits, fitted_state
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
    except _SIZE_ERRORS as error:
        raise _wrong_size(params, str(error)) from None
    _check_size(params, model)
    if not params.checkpoint:
        return fetch_pretrained(params.name, model_name, _what_to_fetch(model), **options)
    state = fitted_state(read_state(Path(params.checkpoint), keep=model.state_dict()), model)
    try:
        load_strictly(model, state, params.checkpoint, model_name)
    except InputError:
        if options and fits(state, timm.create_model(model_name, pretrained=False, num_classes=0)):
            reason = "timm does not resample its weights for another size"
            raise _wrong_size(params, reason) from None
        raise
    return model


def _check_size(params: EncoderParams, model: Any) -> None:
    """Raise `ParameterError` where the network does not run on images of the size asked for."""
    import torch

    if params.image_size is None:
        return
    image = torch.zeros(1, 3, params.image_size, params.image_size)
    try:
        with torch.inference_mode():
            model.eval()(image)
    except _SIZE_ERRORS as error:
        raise _wrong_size(params, str(error)) from None


def _wrong_size(params: EncoderParams, reason: str) -> ParameterError:
    reason = (reason.splitlines() or ["it fails"])[0][:120]
    return ParameterError(
        f"encoder {params.name!r} image_size",
        f"cannot be {params.image_size} for this network ({reason})",
        "leave it out, or set a larger one or a multiple of the network's patches and windows",
    )


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
