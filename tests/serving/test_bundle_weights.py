"""A bundle brings its encoder's weights, wherever they came from."""

import json

import numpy as np
import pytest
import torch

from bloomdiff.classifiers import make_classifier
from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.encoders import EncoderParams, load_encoder
from bloomdiff.encoders.timm_import import import_timm
from bloomdiff.errors import InputError, IntegrityError
from bloomdiff.serving import cell_typer
from bloomdiff.serving.cell_typer import CellTyper, Member
from bloomdiff.serving.package import package, requirements

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 40, 50, 3), dtype=np.uint8)
FROM_HUB = [
    {"name": "timm:resnet10t", "image_size": 64},
    {"name": "timm:vit_tiny_patch16_224", "image_size": 48, "pooling": "mean", "layers": (3,)},
    {"name": "timm:convnext_atto", "precision": "bfloat16", "image_size": 64},
    {"name": "dinobloom-s", "image_size": 28, "layers": (2, 3)},
]


@pytest.fixture
def hub(monkeypatch):
    """timm with a hub of random weights, which can be cut off."""
    timm = import_timm()
    create, state = timm.create_model, {"online": True}

    def create_model(name, *args, pretrained=False, **options):
        if pretrained and not state["online"]:
            raise OSError("cannot resolve host")
        if name.startswith("hf-hub:"):
            name, options = "vit_small_patch14_dinov2", {**options, "img_size": 224}
        torch.manual_seed(0)
        return create(name, *args, pretrained=False, **options)

    monkeypatch.setattr(timm, "create_model", create_model)
    return state


def typer_of(encoder, params):
    X = np.random.default_rng(0).standard_normal((20, encoder.dim)).astype(np.float32)
    y = np.repeat(["a", "b"], 10)
    fitted = make_classifier("logistic", seed=0).fit(X, y, fingerprint=Fingerprint.of(["g"]))
    told = {"params": params.model_dump(mode="json"), "digest": encoder.digest}
    card = {"threshold": 0.5, "evidence": "", "dim": encoder.dim, "encoder": told}
    return CellTyper([Member(fitted, 1.0)], card)


@pytest.mark.parametrize("given", FROM_HUB, ids=lambda given: given["name"])
def test_weights_of_a_hub_travel_with_the_model(hub, tmp_path, given):
    params = EncoderParams(**{"batch_size": 2, "precision": "float32", **given})
    encoder = load_encoder(params, device="cpu", cache_dir=tmp_path / "cache")
    (tmp_path / "bundle").mkdir()
    typer_of(encoder, params).save(tmp_path / "bundle", weights_from=tmp_path / "cache")
    hub["online"] = False
    with pytest.raises(InputError, match="cannot be fetched"):
        load_encoder(params, device="cpu", cache_dir=tmp_path / "cache")
    back = CellTyper.load(tmp_path / "bundle")
    assert back.encoder.digest == encoder.digest
    np.testing.assert_array_equal(back.encoder.encode(IMAGES), encoder.encode(IMAGES))
    assert back.predict_images(IMAGES)["cell_type"].isin(["a", "b"]).all()
    with pytest.raises(InputError, match=f"embed the cells with {params.name}$"):
        back.predict(np.zeros((1, 3), np.float32))


def test_the_default_travels_although_its_weights_were_never_converted_here(tmp_path):
    params = EncoderParams(image_size=28)
    encoder = load_encoder(params, device="cpu", cache_dir=tmp_path / "cache")
    (tmp_path / "bundle").mkdir()
    typer_of(encoder, params).save(tmp_path / "bundle", weights_from=tmp_path / "elsewhere")
    card = json.loads((tmp_path / "bundle" / "card.json").read_text())
    assert card["encoder"]["params"]["checkpoint"] == "encoder/dinov2-s.safetensors"
    back = CellTyper.load(tmp_path / "bundle").encoder
    np.testing.assert_array_equal(back.encode(IMAGES), encoder.encode(IMAGES))


def test_other_weights_on_the_hub_than_the_classifiers_saw_are_refused(hub, tmp_path):
    params = EncoderParams(name="timm:resnet10t", precision="float32")
    encoder = load_encoder(params, device="cpu", cache_dir=tmp_path)
    typer = typer_of(encoder, params)
    typer.card["encoder"]["digest"] = "another"
    with pytest.raises(IntegrityError, match="has other weights here"):
        typer.save(tmp_path / "bundle", weights_from=tmp_path)
    hub["online"] = False
    with pytest.raises(InputError, match="cannot be fetched"):
        typer.save(tmp_path / "again", weights_from=tmp_path)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_an_encoder_of_8_bits_requires_openvino(tmp_path, precision):
    pytest.importorskip("openvino", reason="needs the extra fast")
    params = EncoderParams(name="colour-histogram", precision=precision)
    encoder = load_encoder(EncoderParams(name="colour-histogram"), cache_dir=tmp_path)
    (tmp_path / "bundle").mkdir()
    typer_of(encoder, params).save(tmp_path / "bundle", weights_from=tmp_path)
    package(tmp_path / "bundle", tmp_path / "model")
    required = (tmp_path / "model" / "requirements.txt").read_text()
    assert ("openvino==" in required) == (precision == "int8")
    assert "openvino" not in "".join(requirements())


@pytest.mark.parametrize(("precision", "device"), [("auto", "auto"), ("int8", "cpu")])
def test_an_encoder_of_8_bits_is_not_put_on_a_gpu(tmp_path, monkeypatch, precision, device):
    params = EncoderParams(name="colour-histogram", precision=precision)
    encoder = load_encoder(EncoderParams(name="colour-histogram"), cache_dir=tmp_path)
    asked = []
    monkeypatch.setattr(
        cell_typer,
        "load_encoder",
        lambda params, *, device, cache_dir: asked.append(device) or encoder,
    )
    assert typer_of(encoder, params).encoder is encoder
    assert asked == [device]


def test_weights_in_a_file_called_weights_travel_too(tmp_path):
    encoder = load_encoder(EncoderParams(image_size=28), device="cpu", cache_dir=tmp_path / "cache")
    (file,) = (tmp_path / "cache" / "weights").glob("*.safetensors")
    file = file.rename(tmp_path / "weights")
    params = EncoderParams(image_size=28, checkpoint=str(file))
    encoder = load_encoder(params, device="cpu", cache_dir=tmp_path / "cache")
    (tmp_path / "bundle").mkdir()
    typer_of(encoder, params).save(tmp_path / "bundle", weights_from=tmp_path / "cache")
    file.unlink()
    back = CellTyper.load(tmp_path / "bundle").encoder
    np.testing.assert_array_equal(back.encode(IMAGES), encoder.encode(IMAGES))
