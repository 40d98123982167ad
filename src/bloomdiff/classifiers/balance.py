"""How a loss-based classifier makes up for unequal classes."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from bloomdiff.classifiers.base import ClassifierParams, Indices
from bloomdiff.data.embedding_set import Floats


class BalancedParams(ClassifierParams):
    """Hyper-parameters of classifiers that can weigh their loss or adjust their logits.

    Post-hoc logit adjustment (Menon et al. 2021, arXiv:2007.07314, equation 9) trains on the
    unweighted loss and then subtracts tau log π from the logits, with π the frequencies of the
    classes among the training rows, real and synthetic. At tau 1 that turns an estimate of
    p(y | x) into one of p(x | y) / Σ p(x | y'), the posterior under equally frequent classes.
    """

    balance: Literal["class-weights", "logit-adjustment"] = Field(
        "class-weights", description="weigh the loss by class, or correct the logits afterwards"
    )
    tau: float = Field(1.0, ge=0, description="strength of the logit adjustment")

    def loss_weight(self, weight: Floats) -> Floats:
        """Weights of the rows in the loss `(n,)`, of the class weights `(n,)`."""
        return weight if self.balance == "class-weights" else np.ones_like(weight)

    def logit_shift(self, y: Indices, n_classes: int) -> Floats:
        """What is added to the logits, float32 `(n_classes,)`; every class has a row in `y`."""
        if self.balance == "class-weights":
            return np.zeros(n_classes, dtype=np.float32)
        frequency = np.bincount(y, minlength=n_classes) / len(y)
        return (-self.tau * np.log(frequency)).astype(np.float32)
