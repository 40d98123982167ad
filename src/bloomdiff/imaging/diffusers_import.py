"""The one door through which diffusers is imported."""

from __future__ import annotations

import importlib
from types import ModuleType

from bloomdiff.encoders.timm_import import import_torchvision
from bloomdiff.errors import ParameterError


def import_diffusers() -> ModuleType:
    """Import diffusers, which itself imports torchvision, whichever build of torch is beside it.

    Raises
    ------
    ParameterError
        The extra is not installed.
    """
    import_torchvision()
    try:
        return importlib.import_module("diffusers")
    except ModuleNotFoundError as error:
        if error.name != "diffusers":
            raise
        raise ParameterError(
            "images by diffusion",
            "need the package diffusers, which is not installed",
            "run `pip install 'bloomdiff[image-space]'`",
        ) from None
