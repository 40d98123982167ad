import pytest
import torch
from small_vit import OPTIONS, SMALL, random_model, small_vit

from bloomdiff.encoders.params import EncoderParams
from bloomdiff.encoders.pooling import TokenPooling
from bloomdiff.encoders.resample import resample_positions
from bloomdiff.encoders.vit import vit_encoder
from bloomdiff.errors import ParameterError

GIANT = "vit_giant_patch14_dinov2"
REGISTERS = "vit_small_patch14_reg4_dinov2"


def tokens(model, x, block: int):
    """timm's own tokens of a block, counted from 1, after the final norm."""
    (out,) = model.get_intermediate_layers(x, n=[block - 1], return_prefix_tokens=True, norm=True)
    return out[1][:, 0], out[0].mean(dim=1)


@pytest.mark.parametrize("architecture", ["vit_small_patch14_dinov2", REGISTERS])
@pytest.mark.parametrize("layers", [(1,), (2,), (3,), (1, 3)])
@pytest.mark.parametrize("pooling", ["cls", "mean", "cls+mean"])
@torch.inference_mode()
def test_equals_timm(architecture: str, layers: tuple[int, ...], pooling: str) -> None:
    x = torch.randn(3, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    model = random_model(architecture, depth=3)
    expected = []
    for block in layers:
        cls, mean = tokens(model, x, block)
        expected += {"cls": [cls], "mean": [mean], "cls+mean": [cls, mean]}[pooling]
    found = TokenPooling(random_model(architecture, depth=3), layers, pooling)(x)
    torch.testing.assert_close(found, torch.cat(expected, 1), atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_the_class_token_shortcut_is_taken_and_exact() -> None:
    x = torch.randn(2, 3, 28, 28)
    fast = TokenPooling(random_model(), (2,), "cls")
    slow = TokenPooling(random_model(), (2,), "cls")
    assert fast.only_cls
    slow.only_cls = False
    torch.testing.assert_close(fast(x), slow(x), atol=1e-6, rtol=1e-5)


def test_blocks_beyond_the_last_chosen_one_are_dropped() -> None:
    assert len(TokenPooling(random_model(depth=3), (1,), "cls").vit.blocks) == 1


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"has 2 blocks, however: \(3,\)"):
        small_vit(layers=(3,))


@pytest.mark.parametrize("shape", [(1, 1 + 48, 2), (1, 49, 2), (1, 1, 2), (2, 1 + 49, 2)])
def test_positions_that_are_no_square_after_the_class_token_stay(shape) -> None:
    positions = torch.randn(shape)
    assert resample_positions(positions, 4) is positions


def test_positions_of_networks_with_registers_are_smoothed_and_the_header_says_so() -> None:
    positions = torch.randn(1, 49, 2, generator=torch.Generator().manual_seed(0))
    square = positions.reshape(1, 7, 7, 2).permute(0, 3, 1, 2)
    expected = torch.nn.functional.interpolate(
        square, size=(4, 4), mode="bicubic", antialias=True, align_corners=False
    )
    out = resample_positions(positions, 4, 0, antialias=True)
    torch.testing.assert_close(out, expected.flatten(2).mT)
    assert (out - resample_positions(positions, 4, 0)).abs().max() > 0.1

    def encoder(architecture: str, size: int):
        state = dict(random_model(architecture, 98).state_dict())
        params = EncoderParams(name="v", image_size=size, precision="float32", batch_size=1)
        given = {"where": "", "device": "cpu", "model_options": OPTIONS}
        made = vit_encoder("v", architecture, state, params, **given)
        return state["pos_embed"], made._network.vit.pos_embed, made.preprocessing["features"]

    given, own, features = encoder(REGISTERS, 56)
    torch.testing.assert_close(own, resample_positions(given, 4, 0, antialias=True))
    assert features["positions"] == "antialiased"
    assert "positions" not in encoder(REGISTERS, 98)[2]
    given, own, features = encoder(SMALL, 56)
    torch.testing.assert_close(own, resample_positions(given, 4))
    assert "positions" not in features


def test_positions_are_resampled_as_bicubic_without_antialiasing() -> None:
    positions = torch.randn(1, 1 + 49, 2, generator=torch.Generator().manual_seed(0))
    assert resample_positions(positions, 7) is positions
    out = resample_positions(positions, 4)
    assert out.shape == (1, 17, 2)
    torch.testing.assert_close(out[:, 0], positions[:, 0])
    # An independent bicubic (Keys, a = -0.75) at the same sampling points.
    grid = positions[0, 1:].reshape(7, 7, 2)

    def keys(t):
        t, a = abs(t), -0.75
        near = (a + 2) * t**3 - (a + 3) * t**2 + 1
        far = a * (t**3 - 5 * t**2 + 8 * t - 4)
        return near if t <= 1 else far if t < 2 else 0.0

    W = torch.zeros(4, 7)
    for i in range(4):
        centre = (i + 0.5) * 7 / 4 - 0.5
        low = int(centre // 1)
        for j in range(low - 1, low + 3):
            W[i, min(max(j, 0), 6)] += keys(centre - j)
    expected = torch.einsum("ai,bj,ijd->abd", W, W, grid).reshape(16, 2)
    torch.testing.assert_close(out[0, 1:], expected, atol=1e-5, rtol=1e-5)
