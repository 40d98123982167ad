"""The device that `params.yaml` asks for is looked for before a stage begins, not in its midst."""

from __future__ import annotations

from bloomdiff.errors import ParameterError
from bloomdiff.stages.project import Project


def check_device(project: Project) -> None:
    """Raise a `ParameterError` where `device` is `cuda` and there is none."""
    if project.params.device != "cuda":
        return
    import torch  # takes seconds, and is asked about CUDA alone

    if not torch.cuda.is_available():
        raise ParameterError(
            f"{project.root / 'params.yaml'}: device",
            "is cuda, but this torch sees no CUDA device",
            "set auto or cpu",
        )
