"""What is served: one classifier an outer fold, each with its temperature, and the encoder.

The members' calibrated probabilities are averaged. Nothing here knows MLflow; a bundle is a folder
of safetensors and JSON, and of the encoder's weights.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bloomdiff.classifiers import Classifier, load_classifier
from bloomdiff.encoders import Encoder, EncoderParams, load_encoder, unnamed_weights
from bloomdiff.errors import InputError, IntegrityError
from bloomdiff.files import read_json, write_json
from bloomdiff.metrics.calibration import scale_temperature

CARD = "card.json"
WEIGHTS = "encoder"


@dataclass(frozen=True)
class Member:
    """One classifier and the temperature that its probabilities are scaled by."""

    classifier: Classifier
    temperature: float


class CellTyper:
    """Names the cell type of images or embeddings, and says when a human should look.

    Parameters
    ----------
    members
        Classifiers whose calibrated probabilities are averaged.
    card
        Plain data: `threshold`, the confidence below which a cell is deferred; `encoder`, its
        parameters and the digest of its weights; what else a reader should know.
    weights
        Folder of the encoder's weights, where the name alone does not say where they are.
    """

    def __init__(
        self, members: Sequence[Member], card: dict[str, Any], weights: Path | None = None
    ) -> None:
        self.members = list(members)
        self.card = card
        self._weights = weights
        self.classes = sorted({c for m in members for c in m.classifier.classes_.tolist()})

    @property
    def dim(self) -> int:
        """Dimension of the embeddings."""
        return int(self.card["dim"])

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder, loaded when an image first needs it.

        Raises
        ------
        IntegrityError
            Its weights are not those that the classifiers learned from.
        """
        params = dict(self.card["encoder"]["params"])
        for key in ("checkpoint", "name"):
            own = str(params[key] or "").partition(f"{WEIGHTS}/")[2]
            if own and self._weights is not None:
                prefix = "file:" if key == "name" else ""
                params[key] = f"{prefix}{self._weights / own}"
        folder = self._weights or Path(WEIGHTS)
        # OpenVINO's 8 bits run on processors alone, on a machine with a GPU too.
        device = "cpu" if params["precision"] == "int8" else "auto"
        encoder = load_encoder(EncoderParams(**params), device=device, cache_dir=folder)
        if encoder.digest != self.card["encoder"]["digest"]:
            raise IntegrityError(
                f"encoder {encoder.name!r}",
                "has other weights than those that the classifier learned from",
                "register the model again on a machine that has them",
            )
        return encoder

    def predict_images(self, images: Sequence[npt.NDArray[np.uint8]]) -> pd.DataFrame:
        """`predict` for RGB images, uint8 `(h, w, 3)` of any sizes."""
        return self.predict(self.encoder.encode(images))

    def predict(self, X: npt.NDArray[np.float32]) -> pd.DataFrame:
        """Name the type of embeddings.

        Parameters
        ----------
        X
            float32 `(n, d)`, of the card's encoder.

        Returns
        -------
        DataFrame
            `cell_type`, `confidence` (its calibrated probability), `defer` (whether that is below
            the threshold), and one column `p.<class>` a class; probabilities sum to 1.

        Raises
        ------
        InputError
            The wrong dimension, or a value that is not finite.
        """
        X = np.asarray(X, dtype=np.float32)
        if X.ndim != 2 or X.shape[1] != self.dim:
            encoder = self.card["encoder"]
            mend = f"embed the cells with {encoder.get('name', encoder['params']['name'])}"
            raise InputError("the embeddings", f"are not (n, {self.dim}): {X.shape}", mend)
        bad = np.flatnonzero(~np.isfinite(X).all(axis=1))
        if len(bad):
            raise InputError(f"embedding {bad[0]}", "is not finite", "embed that cell again")
        proba = np.zeros((len(X), len(self.classes)))
        for member in self.members:
            own = np.searchsorted(self.classes, member.classifier.classes_)
            scaled = scale_temperature(member.classifier.predict_proba(X), member.temperature)
            proba[:, own] += scaled / len(self.members)
        confidence = proba.max(axis=1)
        named = pd.DataFrame(
            {
                "cell_type": np.asarray(self.classes)[proba.argmax(axis=1)],
                "confidence": confidence,
                "defer": confidence < self.card["threshold"],
            }
        )
        columns = [f"p.{name}" for name in self.classes]
        return pd.concat([named, pd.DataFrame(proba, columns=columns)], axis=1)

    def save(self, folder: Path, *, weights_from: Path) -> None:
        """Write a bundle into an empty folder.

        Parameters
        ----------
        folder
            Where to.
        weights_from
            Cache folder of the encoders, from which this one's weights are copied.

        Raises
        ------
        InputError
            The encoder's weights are in no file, and cannot be fetched.
        IntegrityError
            Those that are fetched are not those that the classifiers learned from.
        """
        temperatures = []
        for number, member in enumerate(self.members):
            member.classifier.save(folder / "members" / str(number))
            temperatures.append(member.temperature)
        (folder / WEIGHTS / "weights").mkdir(parents=True)
        card = {**self.card, "temperatures": temperatures}
        card["encoder"] = _with_weights(self.card["encoder"], folder / WEIGHTS, weights_from)
        if any(path.is_file() for path in (folder / WEIGHTS).rglob("*")):
            _ = CellTyper([], card, folder / WEIGHTS).encoder  # a copy of other weights is refused
        write_json(folder / CARD, card)

    @classmethod
    def load(cls, folder: str | Path) -> CellTyper:
        """Read a bundle; the encoder is loaded when it is first needed."""
        folder = Path(folder)
        card = read_json(folder / CARD)
        members = [
            Member(load_classifier(folder / "members" / str(number)), temperature)
            for number, temperature in enumerate(card["temperatures"])
        ]
        return cls(members, card, folder / WEIGHTS)


def _with_weights(encoder: dict[str, Any], folder: Path, cache: Path) -> dict[str, Any]:
    """Copy what the encoder is loaded from; return its entry with the copies' names."""
    params = dict(encoder["params"])
    copied = False
    for key in ("checkpoint", "name"):
        value = str(params[key] or "")
        prefix = "file:" if value.startswith("file:") else ""
        if prefix or (key == "checkpoint" and value):
            path = Path(value.removeprefix(prefix))
            if not path.is_file():
                raise InputError(str(path), "is no file", "put the encoder's weights there")
            copy = path.name if path.name != "weights" else f"{key}-weights"  # there is a folder
            shutil.copyfile(path, folder / copy)
            params[key] = f"{prefix}{WEIGHTS}/{copy}"
            copied = True
    for path in sorted((cache / "weights").glob("*")):
        if path.name.lower().startswith(params["name"].lower()):
            shutil.copyfile(path, folder / "weights" / path.name)
            copied = True
    return {**encoder, "params": params} if copied else _with_state(encoder, folder, cache)


def _with_state(encoder: dict[str, Any], folder: Path, cache: Path) -> dict[str, Any]:
    """Write the weights that the encoder finds by itself: loading a bundle asks no hub."""
    params = encoder["params"]
    state = unnamed_weights(EncoderParams(**params), cache)
    if state is None:
        return encoder
    from safetensors.torch import save_file

    from bloomdiff.encoders.checkpoints import state_digest

    if state_digest(state) != encoder["digest"]:
        raise IntegrityError(
            f"encoder {params['name']!r}",
            "has other weights here than those that the classifier learned from",
            "embed the cells again, and run what follows",
        )
    file = f"{Path(params['name'].rpartition(':')[2]).name}.safetensors"
    # That format holds no views, and no memory twice.
    whole = {key: value.detach().clone().contiguous() for key, value in state.items()}
    save_file(whole, folder / file)
    # A DinoBloom's own checkpoint has to be the published file; the same network takes any.
    bloom = params["name"].startswith("dinobloom-")
    named = {"name": f"file:{WEIGHTS}/{file}"} if bloom else {"checkpoint": f"{WEIGHTS}/{file}"}
    return {**encoder, "name": params["name"], "params": {**params, **named}}
