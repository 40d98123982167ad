from pathlib import Path

import numpy as np
import pytest
import torch
from small_vit import random_model

from bloomdiff.encoders import EncoderParams, load_encoder
from bloomdiff.encoders.timm_import import import_timm
from bloomdiff.errors import BloomDiffError, InputError, ParameterError

NAME = "resnet10t"


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


def test_a_file_of_another_family_is_one_line(resnet) -> None:
    with pytest.raises(InputError, match="is no ViT/14 of DINOv2's family") as error:
        load(name=f"file:{resnet[1]}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["file:", "timm:", "dinov2", "", "file"])
def test_what_is_no_name_is_one_line(name: str) -> None:
    with pytest.raises(BloomDiffError) as error:
        load(name=name)
    assert "\n" not in str(error.value)
