"""What is fitted, alike for generators and classifiers: hyper-parameters, seed, device, state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from bloomdiff.artifacts import Arrays


class LearnerParams(BaseModel):
    """Hyper-parameters; an unknown key is an error, and so is a number that is not finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


P = TypeVar("P", bound=LearnerParams)


class Learner(ABC, Generic[P]):
    """A named method that is fitted on labelled rows.

    Parameters
    ----------
    params
        Hyper-parameters; the defaults of `Params` where None.
    seed
        Seed of everything random in `fit`.
    device
        "cpu", "cuda" or "auto"; only neural methods look at it.

    Attributes
    ----------
    classes_
        Sorted class names `(c,)`, available after `fit`.
    """

    name: ClassVar[str]
    layout: ClassVar[int] = 1
    """Of the state's arrays; raised when there are others than before."""
    Params: type[P]
    classes_: npt.NDArray[np.str_]

    def __init__(self, params: P | None = None, *, seed: int = 0, device: str = "cpu") -> None:
        self.params = self.Params() if params is None else params
        self.seed = seed
        self.device = device

    @abstractmethod
    def _state(self) -> Arrays:
        """Everything learned, as named arrays."""

    @abstractmethod
    def _restore(self, state: Arrays) -> None:
        """Take back what `_state` gave."""

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """A fit that ends half-way leaves nothing: not what an earlier one learned elsewhere."""
        try:
            yield
        except BaseException:
            vars(self).pop("classes_", None)
            raise

    def _check_fitted(self) -> None:
        if not hasattr(self, "classes_"):
            raise RuntimeError(f"{type(self).__name__} is not fitted yet; call fit first")
