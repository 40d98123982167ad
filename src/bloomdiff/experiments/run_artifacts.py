"""Files of a run: written straight into its folder where that is on this machine."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

Content = bytes | str | Path


def write_artifacts(client: Any, info: Any, artifacts: Mapping[str, Content]) -> None:
    """Attach files to a run.

    MLflow's own call costs a temporary file and a look-up of the run each; a sweep attaches
    thousands. Into a local store the files are written where MLflow would copy them.

    Parameters
    ----------
    client
        `MlflowClient`, for stores elsewhere.
    info
        `mlflow.entities.RunInfo` of the run.
    artifacts
        Relative path inside the run to its content, or to the file that holds it.
    """
    if not artifacts:
        return
    uri = urlparse(info.artifact_uri)
    if uri.scheme in {"", "file"}:
        _fill(Path(url2pathname(uri.path)), artifacts)
        return
    with tempfile.TemporaryDirectory() as folder:
        _fill(Path(folder), artifacts)
        client.log_artifacts(info.run_id, folder)


def _fill(folder: Path, artifacts: Mapping[str, Content]) -> None:
    for name, content in artifacts.items():
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ValueError(f"an artefact's path stays inside its run, however: {name!r}")
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            shutil.copyfile(content, target)
        else:
            target.write_bytes(content.encode() if isinstance(content, str) else content)
