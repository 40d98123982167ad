from pathlib import Path

import numpy as np
import pytest
import torch
from small_vit import random_model

from bloomdiff.encoders import EncoderParams, dinobloom, load_encoder
from bloomdiff.encoders.timm_import import import_timm
from bloomdiff.errors import InputError, IntegrityError

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)


def published_layout(model, letter: str) -> dict:
    """A timm model's weights as the published file names them, with heads and mask token."""
    backbone = {}
    for key, value in model.state_dict().items():
        if letter == "g":
            key = key.replace("mlp.fc1", "mlp.w12").replace("mlp.fc2", "mlp.w3")
        backbone[f"backbone.{key}"] = value
    dim = model.embed_dim
    heads = {
        "backbone.mask_token": torch.zeros(1, dim),
        "dino_head.mlp.0.weight": torch.ones(3, dim),
        "dino_head.last_layer.weight_g": torch.ones(4, 1),
        "ibot_head.mlp.0.bias": torch.ones(3),
    }
    return {"teacher": {**backbone, **heads}}


@torch.inference_mode()
def timm_class_tokens(model) -> np.ndarray:
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    x = (torch.from_numpy(IMAGES).permute(0, 3, 1, 2) / 255 - mean) / std
    return model.forward_features(x)[:, 0].numpy()


@pytest.fixture(scope="module")
def small_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("dinobloom") / "DinoBloom-S.pth"
    model = random_model("vit_small_patch14_dinov2", 224, depth=12)
    torch.save(published_layout(model, "s"), path)
    return path


@pytest.fixture
def no_known_checksum(monkeypatch) -> None:
    monkeypatch.setitem(dinobloom.SIZES, "s", dinobloom.Size("small", 384))


def load(path: Path, letter: str = "s", **params):
    given = {"checkpoint": str(path), "batch_size": 3, "precision": "float32", **params}
    named = EncoderParams(name=f"dinobloom-{letter}", **given)
    return load_encoder(named, device="cpu", cache_dir=path.parent / "cache")


def test_small_equals_timm(small_file: Path, no_known_checksum) -> None:
    encoder = load(small_file)
    assert (encoder.name, encoder.dim, encoder.transform.size) == ("dinobloom-s", 384, 224)
    assert encoder.preprocessing["features"] == {"pooling": "cls", "layers": [12]}
    expected = timm_class_tokens(random_model("vit_small_patch14_dinov2", 224, depth=12))
    np.testing.assert_allclose(encoder.encode(IMAGES), expected, atol=1e-5, rtol=1e-5)


def test_giant_at_reduced_depth_equals_timm(tmp_path: Path) -> None:
    """Three of the 40 blocks, at full width, in the giant's own key layout."""
    model = random_model("vit_giant_patch14_dinov2", 224, depth=3)
    path = tmp_path / "DinoBloom-G.pth"
    torch.save(published_layout(model, "g"), path)
    params = EncoderParams(
        name="dinobloom-g", checkpoint=str(path), batch_size=3, precision="float32"
    )
    encoder = dinobloom.load_size("g", params, "cpu", tmp_path, {"depth": 3})
    assert encoder.dim == 1536
    np.testing.assert_allclose(
        encoder.encode(IMAGES), timm_class_tokens(model), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("letter", ["s", "b", "l", "g"])
def test_every_key_and_shape_of_the_full_size_is_known(letter: str) -> None:
    """The full networks, weightless: the layout's keys, renamed, are exactly timm's."""
    from bloomdiff.encoders.vit import dinov2_layout

    size = dinobloom.SIZES[letter]
    with torch.device("meta"):
        model = import_timm().create_model(size.architecture, num_classes=0, img_size=224)
    assert model.pos_embed.shape == (1, dinobloom.TOKENS, size.dim)
    published = {
        k.removeprefix("backbone."): v
        for k, v in published_layout(model, letter)["teacher"].items()
        if k.startswith("backbone.") and "mask_token" not in k
    }
    if letter == "g":
        assert published["blocks.39.mlp.w12.weight"].shape == (8192, 1536)
        assert published["blocks.39.mlp.w3.weight"].shape == (1536, 4096)
    renamed = dinov2_layout(published)
    assert {k: v.shape for k, v in renamed.items()} == {
        k: v.shape for k, v in model.state_dict().items()
    }


def test_the_small_ones_checksum_is_checked(small_file: Path) -> None:
    with pytest.raises(IntegrityError, match="the published file c2f7990b003e"):
        load(small_file)


def test_a_file_in_the_usual_place_is_found(small_file: Path, no_known_checksum, tmp_path) -> None:
    usual = tmp_path / "weights" / "DinoBloom-S.pth"
    usual.parent.mkdir()
    usual.symlink_to(small_file)
    params = EncoderParams(name="dinobloom-s", batch_size=3)
    found = load_encoder(params, device="cpu", cache_dir=tmp_path)
    assert found.digest == load(small_file).digest


def test_another_size_is_refused(small_file: Path) -> None:
    with pytest.raises(InputError, match=r"is not a dinobloom-b .*\(1, 257, 384\)") as error:
        load(small_file, "b")
    assert "\n" not in str(error.value)


def test_a_dinov2_that_is_no_dinobloom_is_refused(tmp_path: Path, no_known_checksum) -> None:
    model = random_model("vit_small_patch14_dinov2", 518, depth=1)
    torch.save(published_layout(model, "s"), tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"not \(1, 257, 384\)"):
        load(tmp_path / "x.pth")


def test_missing_keys_are_named(small_file: Path, tmp_path: Path, no_known_checksum) -> None:
    content = torch.load(small_file, weights_only=True)
    del content["teacher"]["backbone.blocks.7.attn.qkv.bias"]
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"lacks 1 keys, the first 'blocks\.7\.attn\.qkv\.bias'"):
        load(tmp_path / "x.pth")


def test_without_a_network_one_line_says_what_to_fetch(tmp_path: Path, monkeypatch) -> None:
    def offline(*args: object, **options: object) -> None:
        raise OSError("Name or service not known\nwith more lines")

    monkeypatch.setattr(import_timm(), "create_model", offline)
    with pytest.raises(InputError) as error:
        load_encoder(EncoderParams(name="dinobloom-b"), cache_dir=tmp_path)
    text = str(error.value)
    assert "\n" not in text
    assert "zenodo.org/records/10908163" in text
    assert str(tmp_path / "weights" / "DinoBloom-B.pth") in text
