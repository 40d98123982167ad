import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from small_vit import random_model

from bloomdiff.encoders import EncoderParams, load_encoder
from bloomdiff.encoders.checkpoints import state_digest
from bloomdiff.encoders.timm_import import import_timm
from bloomdiff.errors import BloomDiffError, InputError, ParameterError

NAME = "resnet10t"
REGISTERS = {"register_tokens": torch.ones(1, 4, 384)}


@pytest.fixture(scope="module")
def resnet(tmp_path_factory) -> tuple:
    timm = import_timm()
    torch.manual_seed(0)
    model = timm.create_model(NAME, pretrained=False).eval()
    path = tmp_path_factory.mktemp("timm") / "resnet.pth"
    torch.save(model.state_dict(), path)
    return model, path


def load(**params):
    given = {"batch_size": 2, "precision": "float32", **params}
    return load_encoder(EncoderParams(**given), device="cpu", cache_dir=Path("unused"))


def test_any_model_runs_with_timms_own_data_config(resnet) -> None:
    from PIL import Image

    timm = import_timm()
    model, path = resnet
    encoder = load(name=f"timm:{NAME}", checkpoint=str(path))
    image = np.random.default_rng(0).integers(0, 256, (300, 260, 3), dtype=np.uint8)
    config = timm.data.resolve_model_data_config(model)
    x = timm.data.create_transform(**config, is_training=False)(Image.fromarray(image))
    with torch.inference_mode():
        features = model.forward_head(model.forward_features(x[None]), pre_logits=True)
    assert encoder.dim == model.num_features
    np.testing.assert_allclose(encoder.encode([image]), features, atol=2e-4)


def test_a_norm_that_timm_keeps_in_the_head_is_loaded(tmp_path: Path) -> None:
    timm = import_timm()
    torch.manual_seed(0)
    model = timm.create_model("convnext_atto", pretrained=False).eval()
    state = model.state_dict()
    assert {"head.norm.weight", "head.fc.weight"} < state.keys()
    torch.nn.init.uniform_(model.head.norm.weight)
    # A projection head of self-supervised training still comes off.
    torch.save({**state, "head.mlp.0.weight": torch.ones(2)}, tmp_path / "c.pth")
    encoder = load(name="timm:convnext_atto", checkpoint=str(tmp_path / "c.pth"), image_size=64)
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    x = encoder.transform(image)
    mean, std = (np.array(model.pretrained_cfg[key]) for key in ("mean", "std"))
    x = torch.from_numpy((x / 255 - mean) / std).permute(2, 0, 1).float()
    with torch.inference_mode():
        features = model.forward_head(model.forward_features(x[None]), pre_logits=True)
    np.testing.assert_allclose(encoder.encode([image]), features, atol=2e-4)
    torch.save({k: v for k, v in state.items() if k != "head.norm.bias"}, tmp_path / "c.pth")
    with pytest.raises(InputError, match=r"lacks 1 keys, the first 'head\.norm\.bias'"):
        load(name="timm:convnext_atto", checkpoint=str(tmp_path / "c.pth"))


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("vit_tiny_patch16_224", 48),
        ("vit_tiny_patch16_224", 208),
        ("eva02_tiny_patch14_224", 112),
        ("swin_tiny_patch4_window7_224", 112),
    ],
)
def test_positions_of_a_checkpoint_fit_another_image_size(
    tmp_path: Path, name: str, size: int
) -> None:
    timm = import_timm()
    torch.manual_seed(0)
    path = tmp_path / "v.pth"
    state = timm.create_model(name, pretrained=False).state_dict()
    for key, value in state.items():
        if "position" in key or "pos_embed" in key:
            torch.nn.init.normal_(value, std=0.5)  # so that these count
    torch.save(state, path)
    encoder = load(name=f"timm:{name}", checkpoint=str(path), image_size=size)
    # What timm does with weights that it fetches itself.
    overlay = {"file": str(path), "url": None, "hf_hub_id": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = timm.create_model(
            name, pretrained=True, img_size=size, num_classes=0, pretrained_cfg_overlay=overlay
        ).eval()
    assert encoder.digest == state_digest(expected.state_dict())
    image = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    config = timm.data.resolve_model_data_config(expected)
    mean, std = (torch.tensor(config[key]).view(3, 1, 1) for key in ("mean", "std"))
    x = torch.from_numpy(encoder.transform(image)).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        features = expected((x - mean) / std)
    np.testing.assert_allclose(encoder.encode([image]), features, atol=1e-4)


def test_weights_of_other_patches_are_refused_not_resampled(tmp_path: Path) -> None:
    timm, path = import_timm(), tmp_path / "v.pth"
    torch.save(timm.create_model("vit_base_patch32_224", pretrained=False).state_dict(), path)
    with pytest.raises(InputError, match=r"patch_embed\.proj\.weight is \(768, 3, 32, 32\), not"):
        load(name="timm:vit_base_patch16_224", checkpoint=str(path), image_size=112)


@pytest.mark.parametrize(
    ("name", "size"), [("densenet121", 14), ("vit_tiny_patch16_224", 14), ("mvitv2_tiny", 100)]
)
def test_an_image_size_that_a_network_cannot_take_is_one_line(name: str, size: int) -> None:
    with pytest.raises(ParameterError, match=rf"{name}' image_size: cannot be {size} ") as error:
        load(name=f"timm:{name}", image_size=size)
    assert "\n" not in str(error.value)


def test_weights_that_cannot_be_resampled_are_told_by_the_image_size(tmp_path: Path) -> None:
    timm, path = import_timm(), tmp_path / "m.pth"
    torch.save(timm.create_model("mixer_s32_224", pretrained=False).state_dict(), path)
    told = "image_size: cannot be 112 for this network .timm does not resample"
    with pytest.raises(ParameterError, match=told):
        load(name="timm:mixer_s32_224", checkpoint=str(path), image_size=112)
    torch.save(timm.create_model("resnet10t", pretrained=False).state_dict(), path)
    with pytest.raises(InputError, match="lacks"):
        load(name="timm:mixer_s32_224", checkpoint=str(path), image_size=112)


def test_positions_that_are_no_square_are_refused(tmp_path: Path) -> None:
    name, path = "vit_tiny_patch16_224", tmp_path / "v.pth"
    state = import_timm().create_model(name, pretrained=False).state_dict()
    torch.save({**state, "pos_embed": state["pos_embed"][:, :-1]}, path)
    with pytest.raises(InputError, match=r"another architecture \(pos_embed is \(1, 196, 192\)"):
        load(name=f"timm:{name}", checkpoint=str(path), image_size=112)


def test_a_checkpoint_of_another_architecture_is_one_line(resnet) -> None:
    with pytest.raises(InputError, match=r"another architecture|lacks \d+ keys") as error:
        load(name="timm:resnet18", checkpoint=str(resnet[1]))
    assert "\n" not in str(error.value)


def test_an_unknown_model_is_told_with_its_nearest(resnet) -> None:
    with pytest.raises(ParameterError, match="did you mean 'resnet18'"):
        load(name="timm:resnet81x")


def test_tokens_of_a_network_without_them_are_refused(resnet) -> None:
    with pytest.raises(ParameterError, match="vision transformers with a class token only"):
        load(name=f"timm:{NAME}", checkpoint=str(resnet[1]), pooling="mean")


def test_without_a_network_one_line_names_the_file(monkeypatch) -> None:
    timm = import_timm()
    create = timm.create_model

    def offline(*args, pretrained=False, **options):
        if pretrained:
            raise OSError("cannot resolve host\nand more")
        return create(*args, pretrained=False, **options)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(InputError) as error:
        load(name=f"timm:{NAME}")
    text = str(error.value)
    assert "\n" not in text
    assert "https://huggingface.co/timm/resnet10t" in text
    assert "set `checkpoint` to it" in text


@pytest.mark.parametrize(
    "architecture", ["vit_small_patch14_dinov2", "vit_small_patch14_reg4_dinov2"]
)
def test_a_local_file_tells_its_own_size(tmp_path: Path, architecture: str) -> None:
    model = random_model(architecture, 28, depth=12)
    torch.save(dict(model.state_dict()), tmp_path / "mine.pth")
    encoder = load(name=f"file:{tmp_path / 'mine.pth'}", image_size=28)
    assert (encoder.name, encoder.dim) == ("file:mine.pth", 384)
    assert str(tmp_path) not in str(encoder.header)
    image = np.random.default_rng(0).integers(0, 256, (1, 28, 28, 3), dtype=np.uint8)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.inference_mode():
        x = (torch.from_numpy(image).permute(0, 3, 1, 2) / 255 - mean) / std
        expected = model.forward_features(x)[:, 0]
    np.testing.assert_allclose(encoder.encode(image), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda s: {**s, "pos_embed": s["pos_embed"][:, :-1]}, "pos_embed is .1, 4, 384., not"),
        (lambda s: {**s, "pos_embed": s["pos_embed"][:, 1:]}, "pos_embed is .1, 4, 384., not"),
        (lambda s: {**s, "pos_embed": s["pos_embed"][0]}, "pos_embed is .5, 384., not"),
        (lambda s: {k: s[k] for k in s if k != "pos_embed"} | REGISTERS, "lacks 1 keys"),
        (lambda s: {k: s[k] for k in s if k != "cls_token"} | REGISTERS, "lacks 1 keys"),
        (lambda s: {**s, "pos_embed": torch.ones(1, 5, 7)} | REGISTERS, "another architecture"),
    ],
)
def test_positions_of_another_kind_are_one_line(tmp_path: Path, spoil, told: str) -> None:
    state = dict(random_model("vit_small_patch14_dinov2", 28, depth=12).state_dict())
    torch.save(spoil(state), tmp_path / "mine.pth")
    with pytest.raises(InputError, match=told) as error:
        load(name=f"file:{tmp_path / 'mine.pth'}", image_size=56)
    assert "\n" not in str(error.value)


def test_a_file_of_another_family_is_one_line(resnet) -> None:
    with pytest.raises(InputError, match="is no ViT/14 of DINOv2's family") as error:
        load(name=f"file:{resnet[1]}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["file:", "timm:", "dinov2", "", "file"])
def test_what_is_no_name_is_one_line(name: str) -> None:
    with pytest.raises(BloomDiffError) as error:
        load(name=name)
    assert "\n" not in str(error.value)
