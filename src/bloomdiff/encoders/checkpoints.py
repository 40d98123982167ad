"""Files of weights from elsewhere: read without running code, and fitted to a network strictly."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bloomdiff.errors import InputError, IntegrityError
from bloomdiff.files import sha256_file

if TYPE_CHECKING:
    import torch

# Names to tensors; torch itself is imported only where a file is read.
State = dict[str, Any]

# Where training frameworks put the weights that are meant for use, the best first.
_WRAPPERS = ("teacher", "model_ema", "state_dict_ema", "state_dict", "model")
_PREFIXES = ("module.", "backbone.", "_orig_mod.")
# What torch's reader says of a pickle that names something to call; 149 is opcode STACK_GLOBAL.
_CALLS = ("GLOBAL", "operand 149")
_HEADS = ("dino_head", "ibot_head", "mask_token")
_HEAD = "head."  # a head as well in most networks; in some it holds their last norm


def check_sha256(path: Path, expected: str) -> None:
    """Raise `IntegrityError` unless the file's SHA-256 is `expected`."""
    if not path.is_file():
        raise InputError(str(path), "no such file", "fetch it, or name another checkpoint")
    found = sha256_file(path)
    if found != expected:
        raise IntegrityError(
            str(path),
            f"has SHA-256 {found[:12]}..., the published file {expected[:12]}...",
            "fetch it again",
        )


def read_state(path: Path, *, keep: Collection[str] = ()) -> State:
    """Read a PyTorch or safetensors checkpoint as named tensors.

    A wrapper such as ``{"teacher": ...}`` is opened, prefixes such as ``backbone.`` are taken
    off, and projection heads and the mask token of self-supervised training are dropped.

    Parameters
    ----------
    path
        The file.
    keep
        Names below ``head.`` that are no head's, but the network's own.

    Raises
    ------
    InputError
        The file is missing, truncated, would run code when loaded, holds no tensors, or two that
        differ and come to one name.
    """
    if not path.is_file():
        raise InputError(str(path), "no such checkpoint", "fetch it, or mend the path")
    raw = _read_safetensors(path) if _is_safetensors(path) else _read_torch(path)
    return _plain(raw, path, keep)


def _is_safetensors(path: Path) -> bool:
    """By its name, or by how it begins: a cache names files by their digests."""
    if path.suffix.lower() == ".safetensors":
        return True
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _read_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from None


def _read_torch(path: Path) -> Any:
    import pickle
    import warnings

    import torch

    try:
        with warnings.catch_warnings():
            # Other pickle protocols are refused below, in one line; torch would warn besides.
            warnings.simplefilter("ignore", UserWarning)
            # weights_only: tensors and plain containers are built, no other code is called.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except pickle.UnpicklingError as error:
        if any(sign in str(error) for sign in _CALLS):
            raise InputError(
                str(path),
                "is a pickle that would run code when loaded, and is refused",
                "ask its author for the bare weights (safetensors or a state dict)",
            ) from None
        raise _damaged(path, ValueError("not a pickle of tensors")) from None
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, IndexError) as error:
        raise _damaged(path, error) from None


def _is_zip(path: Path) -> bool:
    # torch.load can map only its zip format; older files are plain pickles.
    with path.open("rb") as stream:
        return stream.read(2) == b"PK"


def _damaged(path: Path, error: Exception) -> InputError:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
    return InputError(str(path), f"truncated or not a checkpoint ({reason})", "fetch it again")


def _plain(raw: Any, path: Path, keep: Collection[str]) -> State:
    import torch

    for wrapper in _WRAPPERS:
        if isinstance(raw, Mapping) and isinstance(raw.get(wrapper), Mapping):
            raw = raw[wrapper]
            break
    if not isinstance(raw, Mapping):
        raise InputError(str(path), "holds no named tensors", "name a state dict's file")
    state: State = {}
    keys: dict[str, str] = {}
    for key, value in raw.items():
        name = str(key)
        while (prefix := next((p for p in _PREFIXES if name.startswith(p)), None)) is not None:
            name = name.removeprefix(prefix)
        head = name.startswith(_HEADS) or (name.startswith(_HEAD) and name not in keep)
        if head or not isinstance(value, torch.Tensor):
            continue
        if name in state and not _equal(state[name], value):
            raise InputError(
                str(path),
                f"holds two tensors {name!r} that differ, as {keys[name]!r} and as {key!r}",
                "save the network that is meant alone",
            )
        state[name], keys[name] = value, str(key)
    if not state:
        raise InputError(str(path), "holds no named tensors", "name a state dict's file")
    return state


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.dtype == other.dtype and one.equal(other)


def load_strictly(model: torch.nn.Module, state: State, where: str, architecture: str) -> None:
    """Put `state` into `model`; every key and shape must agree.

    Raises
    ------
    InputError
        Another architecture, missing or surplus keys, or weights that are not finite.
    """
    own = model.state_dict()
    mend = f"name a checkpoint of {architecture}"
    for key in sorted(own.keys() & state.keys()):
        if own[key].shape != state[key].shape:
            shapes = f"{tuple(state[key].shape)}, not {tuple(own[key].shape)}"
            raise InputError(where, f"is of another architecture ({key} is {shapes})", mend)
    missing, surplus = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    if missing:
        raise InputError(where, f"lacks {len(missing)} keys, the first {missing[0]!r}", mend)
    if surplus:
        raise InputError(where, f"has {len(surplus)} unknown keys, the first {surplus[0]!r}", mend)
    for key in sorted(state):
        # Types of eight bits have no test of their own.
        value = state[key]
        if not bool((value.float() if value.is_floating_point() else value).isfinite().all()):
            raise InputError(where, f"has weights that are not finite ({key})", "fetch it again")
    model.load_state_dict(state, strict=True)


def state_digest(state: Mapping[str, Any]) -> str:
    """SHA-256 over names, types, shapes and bytes of the tensors, in the order of names."""
    import torch

    digest = hashlib.sha256()
    for key in sorted(state):
        tensor = state[key].detach().cpu().contiguous()
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
