import pickle
from pathlib import Path

import pytest
import torch
from small_vit import OPTIONS, SMALL, random_model

from bloomdiff.encoders.checkpoints import (
    check_sha256,
    load_strictly,
    read_state,
    state_digest,
)
from bloomdiff.errors import InputError, IntegrityError
from bloomdiff.files import sha256_file


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return dict(random_model().state_dict())


def one_line(error: pytest.ExceptionInfo[BaseException]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors", "w.SAFETENSORS", "sha256-0af3"])
def test_both_formats_are_read(state, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "w.pth":
        torch.save(state, path)
    else:
        from safetensors.torch import save_file

        save_file(state, path)
    assert state_digest(read_state(path)) == state_digest(state)


def test_wrapper_prefix_and_heads_come_off(state, tmp_path: Path) -> None:
    wrapped = {f"module.backbone.{k}": v for k, v in state.items()}
    wrapped |= {"dino_head.mlp.0.weight": torch.ones(2), "ibot_head.last.weight": torch.ones(2)}
    wrapped["backbone.mask_token"] = torch.ones(1, 384)
    torch.save({"teacher": wrapped, "student": {"x": torch.ones(1)}, "epoch": 3}, tmp_path / "c")
    assert state_digest(read_state(tmp_path / "c")) == state_digest(state)


def test_a_head_comes_off_but_for_what_is_to_be_kept(state, tmp_path: Path) -> None:
    heads = {"head.norm.weight": torch.ones(2), "head.weight": torch.ones(3)}
    torch.save(state | heads, tmp_path / "c")
    assert state_digest(read_state(tmp_path / "c")) == state_digest(state)
    kept = read_state(tmp_path / "c", keep=["head.norm.weight"])
    assert kept.keys() - state.keys() == {"head.norm.weight"}


def test_two_networks_under_two_prefixes_are_refused_with_both_keys(state, tmp_path: Path) -> None:
    one = {f"backbone.{k}": v for k, v in state.items()}
    other = {f"module.{k}": v for k, v in state.items()} | {"module.norm.bias": torch.ones(384)}
    for both in ({**one, **other}, {"teacher": {**other, **one}}):
        torch.save(both, tmp_path / "c.pth")
        with pytest.raises(InputError, match=r"holds two tensors .* that differ") as error:
            read_state(tmp_path / "c.pth")
        text = one_line(error)
        assert "'backbone.norm.bias'" in text
        assert "'module.norm.bias'" in text
        assert str(tmp_path / "c.pth") in text
    # Copies are no doubt; nor are heads that are dropped in any case.
    heads = {"head.weight": torch.ones(2), "backbone.head.weight": torch.ones(3)}
    torch.save({**one, **state, **heads}, tmp_path / "c.pth")
    assert state_digest(read_state(tmp_path / "c.pth")) == state_digest(state)


class Bomb:
    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (Path(self.marker),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_runs_code_is_refused_before_it_runs(tmp_path: Path, zipped: bool) -> None:
    marker, path = tmp_path / "ran", tmp_path / "bomb.pth"
    if zipped:
        torch.save({"teacher": {"backbone.x": torch.ones(1)}, "extra": Bomb(str(marker))}, path)
        loads = lambda: torch.load(path, weights_only=False)  # noqa: E731
    else:
        path.write_bytes(pickle.dumps({"x": Bomb(str(marker))}))
        loads = lambda: pickle.loads(path.read_bytes())  # noqa: E731
    with pytest.raises(InputError, match="would run code when loaded, and is refused") as error:
        read_state(path)
    assert str(path) in one_line(error)
    assert not marker.exists()
    loads()
    assert marker.exists(), "the bomb was a dud: the test shows nothing"


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.999])
def test_a_truncated_file_is_one_line(state, tmp_path: Path, name: str, keep: float) -> None:
    from safetensors.torch import save_file

    path = tmp_path / name
    if path.suffix == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if keep < 1 else int(keep)])
    with pytest.raises(InputError, match="truncated or not a checkpoint") as error:
        read_state(path)
    assert str(path) in one_line(error)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"teacher": {}}])
def test_a_file_without_tensors_is_one_line(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(InputError, match="holds no named tensors") as error:
        read_state(tmp_path / "x.pth")
    one_line(error)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.pth: no such checkpoint"):
        read_state(tmp_path / "nowhere.pth")


def without(state, key):
    return {k: v for k, v in state.items() if k != key}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda s: without(s, "norm.bias"), "lacks 1 keys, the first 'norm.bias'"),
        (lambda s: {**s, "extra": torch.ones(1)}, "has 1 unknown keys, the first 'extra'"),
        (lambda s: {**s, "norm.bias": torch.ones(5)}, r"norm.bias is \(5,\), not \(384,\)"),
        (
            lambda s: {**s, "norm.bias": torch.full((384,), float("nan"))},
            r"weights that are not finite \(norm.bias\)",
        ),
    ],
)
def test_what_does_not_fit_is_named(state, spoil, message: str) -> None:
    model = random_model()
    with pytest.raises(InputError, match=message) as error:
        load_strictly(model, spoil(state), "there", SMALL)
    one_line(error)
    # The model is as it was: nothing is half-loaded.
    assert state_digest(model.state_dict()) == state_digest(state)


def test_what_fits_is_loaded(state) -> None:
    from bloomdiff.encoders.timm_import import import_timm

    model = import_timm().create_model(SMALL, num_classes=0, img_size=28, **OPTIONS)
    assert state_digest(model.state_dict()) != state_digest(state)
    load_strictly(model, state, "there", SMALL)
    assert state_digest(model.state_dict()) == state_digest(state)


def test_a_checksum_that_does_not_match_is_an_integrity_error(tmp_path: Path) -> None:
    path = tmp_path / "w"
    path.write_bytes(b"weights")
    check_sha256(path, sha256_file(path))
    with pytest.raises(IntegrityError, match="fetch it again") as error:
        check_sha256(path, "0" * 64)
    one_line(error)


def test_the_digest_sees_names_types_shapes_and_bits() -> None:
    base = {"a": torch.zeros(2, 3)}
    others = [
        {"b": torch.zeros(2, 3)},
        {"a": torch.zeros(3, 2)},
        {"a": torch.zeros(2, 3, dtype=torch.int32)},
        {"a": torch.zeros(2, 3) - 0.0 * torch.ones(2, 3)},
        {"a": -torch.zeros(2, 3)},
    ]
    digests = [state_digest(s) for s in (base, *others)]
    # 0 - 0 is +0 and equals the base; minus zero has another bit.
    assert digests[0] == digests[4]
    assert len(set(digests)) == 5


def test_weights_of_eight_bits_are_looked_at_too() -> None:
    model = torch.nn.Linear(3, 2)
    state = {k: v.to(torch.float8_e4m3fn) for k, v in model.state_dict().items()}
    load_strictly(model, state, "here", "linear")
    state["bias"] = torch.tensor([1.0, float("nan")]).to(torch.float8_e4m3fn)
    with pytest.raises(InputError, match="not finite"):
        load_strictly(model, state, "here", "linear")
