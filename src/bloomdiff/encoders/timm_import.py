"""The one door through which timm is imported.

timm needs torchvision, and torchvision's wheel on the package index carries operators compiled
for CUDA. Beside a CPU build of torch they do not load, and ``import torchvision`` then fails at
the first Python function that refers to one ("operator torchvision::nms does not exist").
Nothing here uses these operators, so it is enough that their schemas exist.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_MISSING = "operator torchvision::nms does not exist"
# torch.library withdraws the schemas when their Library object is collected: it is kept here.
_kept: list[Any] = []


def import_torchvision() -> ModuleType:
    """Import torchvision, defining its missing operators' schemas if, and only if, they are."""
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if _MISSING not in str(error):
            raise
    import torch

    for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        library.define(f"{operator}{_SCHEMA}")
    _kept.append(library)
    return importlib.import_module("torchvision")


def import_timm() -> ModuleType:
    """Import timm, whichever build of torch is beside it."""
    import_torchvision()
    return importlib.import_module("timm")
