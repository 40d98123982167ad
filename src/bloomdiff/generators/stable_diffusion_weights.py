"""Where Stable Diffusion's weights are: a local folder in diffusers' layout, or the hub."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bloomdiff.encoders.hub import quiet_hub
from bloomdiff.errors import InputError
from bloomdiff.files import sha256_file

# Safetensors and text alone: no pickle is fetched or read.
NETWORKS = (
    "text_encoder/model.safetensors",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
)
FILES = (
    "model_index.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "tokenizer/merges.txt",
    "tokenizer/tokenizer_config.json",
    "tokenizer/vocab.json",
    "unet/config.json",
    "vae/config.json",
    *NETWORKS,
)


def weights_folder(weights: str) -> Path:
    """Folder of the weights, fetched from the hub where `weights` is no local folder.

    Parameters
    ----------
    weights
        A folder that holds `FILES`, or the name of a repository on the Hugging Face hub.

    Raises
    ------
    InputError
        Files are missing from the folder, or cannot be fetched.
    """
    folder = Path(weights)
    if not folder.is_dir():
        return _fetched(weights)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"Stable Diffusion's weights in {weights}",
            f"lack {', '.join(missing)}",
            "put these files there, in the layout of diffusers",
        )
    return folder


def weights_digest(folder: Path) -> str:
    """SHA-256 over the networks' files, hexadecimal."""
    return hashlib.sha256("".join(sha256_file(folder / n) for n in NETWORKS).encode()).hexdigest()


def _fetched(repository: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        with quiet_hub():
            return Path(snapshot_download(repository, allow_patterns=list(FILES)))
    except Exception as error:  # the hub client has no common base for what a network can do
        reason = (str(error).splitlines() or [type(error).__name__])[0][:100]
        raise InputError(
            f"Stable Diffusion's weights {repository!r}",
            f"are no folder here and cannot be fetched ({type(error).__name__}: {reason})",
            f"fetch {', '.join(FILES)} of that repository elsewhere, put them into a folder and"
            " name it: `weights: FOLDER`",
        ) from None
