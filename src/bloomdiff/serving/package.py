"""A bundle as an MLflow model: models-from-code, a signature, and its own requirements."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import bloomdiff
from bloomdiff.serving.cell_typer import CellTyper

# What loading and asking the model imports, beside MLflow itself.
REQUIRES = (
    *("torch", "torchvision", "timm", "numpy", "pandas", "scipy", "scikit-learn", "safetensors"),
    *("pillow", "opencv-python-headless", "blake3", "pydantic", "pyyaml", "threadpoolctl"),
    *("simplejpeg", "tqdm", "psutil", "joblib", "requests", "h5py", "pyarrow"),
)


def requirements(precision: str = "auto") -> list[str]:
    """Pinned to what is installed; local parts such as `+cpu` are left to the index.

    Parameters
    ----------
    precision
        Of the encoder: the one of 8 bits is run by OpenVINO.
    """
    found = []
    for name in ("mlflow", *REQUIRES, *(("openvino",) if precision == "int8" else ())):
        try:
            found.append(f"{name}=={importlib.metadata.version(name).partition('+')[0]}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def package(bundle: Path, target: Path) -> None:
    """Write an MLflow model folder.

    Parameters
    ----------
    bundle
        Written by `CellTyper.save`.
    target
        A folder that does not exist yet. Beside the bundle it holds this package's own code, so
        that an environment of its requirements is enough to run it.
    """
    import mlflow.pyfunc
    import numpy as np
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import AnyType, Array

    typer = CellTyper.load(bundle)
    image: Any = AnyType()  # type: ignore[no-untyped-call]
    inputs = Schema(
        [
            ColSpec(image, "image", required=False),
            ColSpec(Array(DataType.double), "embedding", required=False),
        ]
    )
    example = pd.DataFrame({"embedding": [np.zeros(typer.dim).tolist()]})
    told: list[Any] = [
        ColSpec(DataType.string, "cell_type"),
        ColSpec(DataType.double, "confidence"),
        ColSpec(DataType.boolean, "defer"),
        *(ColSpec(DataType.double, f"p.{name}") for name in typer.classes),
    ]
    mlflow.pyfunc.save_model(
        str(target),
        python_model=str(Path(__file__).with_name("pyfunc.py")),
        artifacts={"bundle": str(bundle)},
        code_paths=[str(Path(bloomdiff.__file__).parent)],
        pip_requirements=requirements(typer.card["encoder"]["params"]["precision"]),
        signature=ModelSignature(inputs, Schema(told)),
        input_example=example,
        metadata={key: typer.card[key] for key in ("threshold", "evidence")},
    )
