"""CytoDiff's recipe: Stable Diffusion with one LoRA a class, trained on a few cells of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator

from bloomdiff.data.images import Pixels
from bloomdiff.data.vocabulary import VOCABULARY, known_name
from bloomdiff.errors import InputError
from bloomdiff.files import atomic_file
from bloomdiff.generators.base import GENERATORS, Arrays, GeneratorParams
from bloomdiff.generators.image_space import ImageSpaceGenerator
from bloomdiff.generators.stable_diffusion_weights import weights_digest, weights_folder
from bloomdiff.resumable import checkpoint_path

if TYPE_CHECKING:
    from bloomdiff.generators.cell_images import CellImages
    from bloomdiff.generators.class_lora import ClassLora
    from bloomdiff.generators.lora_training import LoraTraining

AT_ONCE = 64
"""Images, at least, that are drawn before they are embedded."""


class StableDiffusionLoraParams(GeneratorParams):
    """Hyper-parameters of the recipe."""

    weights: str = Field(
        default="stable-diffusion-v1-5/stable-diffusion-v1-5",
        description="folder in diffusers' layout, or repository on the hub",
    )
    prompt: str = Field(default="a photo of a {cell}", description="{cell}: the class in words")
    shots: int | None = Field(default=16, ge=1, description="training cells a class; None: all")
    image_size: int = Field(default=512, ge=8, multiple_of=8, description="side, pixels")
    rank: int = Field(default=16, ge=1, description="of the LoRA")
    n_steps: int = Field(default=400, ge=1, description="a class: 200 passes over 16 cells")
    batch_size: int = Field(default=8, ge=1)
    learning_rate: float = Field(default=1e-4, gt=0)
    weight_decay: float = Field(default=1e-2, ge=0)
    sampling_steps: int = Field(default=50, ge=1)
    guidance: float = Field(default=2.0, ge=0)
    sampling_batch_size: int = Field(default=4, ge=1, description="images drawn together")

    @field_validator("prompt")
    @classmethod
    def _names_the_class(cls, prompt: str) -> str:
        if "{cell}" not in prompt:
            raise ValueError("must hold {cell}, where the class is named")
        return prompt

    def prompt_of(self, label: str) -> str:
        """The prompt of a class, in the vocabulary's words where it knows the class."""
        name = known_name(label)
        words = VOCABULARY[name].meaning if name else label.replace("_", " ")
        words, _, _ = words.partition(",")  # the meaning of some goes on to what is not told
        return self.prompt.replace("{cell}", words)


@GENERATORS.register("stable-diffusion-lora")
class StableDiffusionLoraGenerator(ImageSpaceGenerator):
    """Stable Diffusion with a LoRA for each class on the attention of its U-Net.

    After CytoDiff (Carreras Boada et al. 2025, arXiv:2507.05063), whose published scripts give
    the defaults: rank 16, 16 cells a class, 200 passes in batches of 8, learning rate 1e-4,
    guidance 2, 50 steps. Two things differ: their scripts adapt the text encoder as well, and
    start from Stable Diffusion 2.1; this one is made for 1.5 and takes either.

    Classes share nothing: a class that is trained again leaves the others' samples as they were.
    Saved are the LoRAs and the digest of the weights that they belong to.
    """

    name = "stable-diffusion-lora"
    Params = StableDiffusionLoraParams
    params: StableDiffusionLoraParams
    _lora: ClassLora | None = None

    @property
    def guidance(self) -> float:
        """Guidance scale of the samples."""
        return self.params.guidance

    @property
    def drawn_together(self) -> int:
        """Whole batches: thousands of images of this size do not fit in memory."""
        size = self.params.sampling_batch_size
        return size * -(-AT_ONCE // size)

    def _learn(self, images: CellImages, y: npt.NDArray[np.intp]) -> None:
        from tqdm import tqdm

        params = self.params
        squares = self._training_squares(images, params.image_size)
        lora = self._ready_lora()
        self._adapters: list[Arrays] = []
        kept = []
        total = params.n_steps * len(self.classes_)
        with tqdm(
            total=total, desc=self.name, unit="step", leave=False, file=sys.stderr, disable=None
        ) as bar:
            for index in range(len(self.classes_)):
                own = squares[self._shots_of(index, y)]
                path = self._checkpoint_path(index, own)
                if path is None or not path.exists():
                    adapter = self._train_class(lora, index, own, lambda _: bar.update())
                    if path is not None:
                        _write(path, adapter)
                else:
                    adapter = _read(path)
                    bar.update(params.n_steps)
                kept += [path] if path is not None else []
                self._adapters.append(adapter)
        for path in kept:
            path.unlink()

    def _train_class(
        self, lora: ClassLora, index: int, images: Pixels, progress: Callable[[float], object]
    ) -> Arrays:
        adapter, losses = lora.train(
            images,
            self.params.prompt_of(str(self.classes_[index])),
            self._training(),
            seed=int(np.random.default_rng([self.seed, index]).integers(2**63)),
            progress=progress,
        )
        return adapter | {"losses": np.asarray(losses, np.float32)}

    def losses(self, label: str) -> npt.NDArray[np.float32]:
        """Loss of each step in the training of one class, float32 `(n_steps,)`."""
        index = self.classes_.tolist().index(label)
        losses: npt.NDArray[np.float32] = self._adapters[index]["losses"]
        return losses

    def draw_images(self, index: int, n: int, rng: np.random.Generator) -> Pixels:
        """Draw `n` images of class `index`, uint8 RGB `(n, s, s, 3)`."""
        params, lora = self.params, self._ready_lora()
        adapter = self._adapters[index]
        lora.use({name: value for name, value in adapter.items() if name != "losses"})
        return lora.draw(
            params.prompt_of(str(self.classes_[index])),
            rng.integers(2**63, size=n).tolist(),
            size=params.image_size,
            n_steps=params.sampling_steps,
            guidance=params.guidance,
            batch_size=params.sampling_batch_size,
        )

    # ------------------------------------------------------------------------------- inside
    def _shots_of(self, index: int, y: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        rows = np.flatnonzero(y == index)
        if self.params.shots is not None and len(rows) > self.params.shots:
            rng = np.random.default_rng([self.seed, index, 1])
            rows = np.sort(rng.choice(rows, self.params.shots, replace=False))
        return rows

    def _training(self) -> LoraTraining:
        from bloomdiff.generators.lora_training import LoraTraining

        params = self.params
        return LoraTraining(
            params.n_steps, params.batch_size, params.learning_rate, params.weight_decay
        )

    def _ready_lora(self) -> ClassLora:
        """The pipeline, loaded when it is first used; a restored one must be of the same weights.

        Raises
        ------
        InputError
            The weights are missing, or not those that the LoRAs were trained on.
        """
        if self._lora is None:
            folder = weights_folder(self.params.weights)
            digest = weights_digest(folder)
            if getattr(self, "_digest", digest) != digest:
                raise InputError(
                    f"Stable Diffusion's weights in {folder}",
                    "are not those that the LoRAs were trained on",
                    "name those, or fit the generator again",
                )
            from bloomdiff.generators.class_lora import ClassLora

            self._digest = digest
            self._lora = ClassLora(folder, self.params.rank, device=self.device)
        return self._lora

    def _checkpoint_path(self, index: int, images: Pixels) -> Path | None:
        """Where a finished class waits for the others; named after all that it depends on."""
        own = f"{self._digest} {self.seed} {index} {self.classes_[index]}"
        told = f"{self.params.model_dump_json()}{own}"
        return checkpoint_path(self.checkpoint_dir, "lora", told, images)

    def _state(self) -> Arrays:
        state: Arrays = {"weights": np.frombuffer(bytes.fromhex(self._digest), np.uint8)}
        for index, adapter in enumerate(self._adapters):
            state |= {f"{index}.{name}": value for name, value in adapter.items()}
        return state

    def _restore(self, state: Arrays) -> None:
        self._digest = state["weights"].tobytes().hex()
        self._adapters = [{} for _ in self.classes_]
        for key, value in state.items():
            index, _, name = key.partition(".")
            if name:
                self._adapters[int(index)][name] = value


def _read(path: Path) -> Arrays:
    from safetensors.numpy import load_file

    return load_file(path)


def _write(path: Path, adapter: Arrays) -> None:
    from safetensors.numpy import save_file

    with atomic_file(path) as temporary:
        save_file(adapter, temporary)
