"""Where a run comes from: the commit, and what DVC says about the inputs of a stage."""

from __future__ import annotations

import hashlib
import math
import subprocess
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from bloomdiff.files import read_yaml, to_json


def stage_names(root: Path) -> list[str]:
    """The stages of `dvc.yaml`, in its order."""
    return list(_stages(root))


def git_tags(root: Path) -> dict[str, str]:
    """Return `git.commit` and `git.dirty`; empty where `root` is not a checkout with a commit.

    DVC's own records and the outputs of the stages change while the pipeline runs; they do not
    make a checkout dirty.
    """
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return {}
    outs = [path for stage in _stages(root).values() for path in _paths(stage.get("outs", []))]
    ignored = [f":(exclude){path}" for path in ["dvc.lock", *outs]]
    changes = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", *ignored)
    return {"git.commit": commit, "git.dirty": str(bool(changes)).lower()}


def dvc_inputs(root: Path, stage: str) -> dict[str, str]:
    """Hash of every DVC-tracked input of `stage`: dependency path to the hash of its content.

    A dependency that another stage or a `.dvc` file owns has that owner's hash, which DVC records
    before the stage starts; source files are the commit's affair. A dependency inside a tracked
    folder has the folder's hash.
    """
    tracked = _tracked(root)
    found = {}
    for path in _paths(_stages(root).get(stage, {}).get("deps", [])):
        for owner in (path, *map(str, PurePosixPath(path).parents)):
            if owner in tracked:
                found[path] = tracked[owner]
                break
    return found


def current_stages(root: Path) -> list[str]:
    """Stages whose outputs are here and belong to today's inputs and parameters, by `dvc.lock`.

    What DVC itself would find out by hashing is taken from its own records: the inputs' owners,
    the parameters, and whether the outputs exist. Code is the commit's affair.
    """
    path = root / "dvc.lock"
    locked = (read_yaml(path) or {}).get("stages", {}) if path.exists() else {}
    return [name for name in _stages(root) if name in locked and _is_current(root, locked, name)]


def _is_current(root: Path, locked: Mapping[str, Any], stage: str) -> bool:
    entry = locked[stage]
    recorded = {dep["path"]: str(dep.get("md5", "")) for dep in entry.get("deps", [])}
    tracked = _tracked(root)  # a file inside a tracked folder has no owner of its own
    inputs = all(tracked.get(path, md5) == md5 for path, md5 in recorded.items())
    parameters = all(
        _look_up(read_yaml(root / file), key) == value
        for file, values in entry.get("params", {}).items()
        for key, value in values.items()
    )
    outputs = all((root / out["path"]).exists() for out in entry.get("outs", []))
    return inputs and parameters and outputs


def outputs_of(root: Path, stage: str) -> dict[str, str]:
    """Hash of every output of `stage` that `dvc.lock` records."""
    locked = (read_yaml(root / "dvc.lock") or {}).get("stages", {})
    return {out["path"]: str(out.get("md5", "")) for out in locked[stage].get("outs", [])}


def inputs_digest(root: Path, stage: str) -> str:
    """SHA-256 of the tracked inputs and the parameters of `stage`: equal inputs, equal digests."""
    return _digest(dvc_inputs(root, stage), _whole(_parameters(root, stage)))


def known_digests(root: Path, stage: str) -> list[str]:
    """`inputs_digest`, and what stands in runs from before `1.0` and `1` were one to it.

    Those runs have the parameters as they were spelled: as they are now, or as in `dvc.lock`.
    """
    parameters = _parameters(root, stage)
    locked = dict(parameters)
    path = root / "dvc.lock"
    entry = ((read_yaml(path) or {}).get("stages", {}) if path.exists() else {}).get(stage, {})
    for file, values in entry.get("params", {}).items():
        for key, value in values.items():
            if parameters.get(f"{file}:{key}") == value:
                locked[f"{file}:{key}"] = value
    inputs, spellings = dvc_inputs(root, stage), (_whole(parameters), parameters, locked)
    return list(dict.fromkeys(_digest(inputs, spelling) for spelling in spellings))


def _digest(inputs: Mapping[str, str], parameters: Mapping[str, Any]) -> str:
    text = to_json({"inputs": inputs, "params": _spelled(parameters)})
    return hashlib.sha256(text.encode()).hexdigest()


def _parameters(root: Path, stage: str) -> dict[str, Any]:
    """The parameters that `dvc.yaml` names for `stage`, by file and key."""
    parameters: dict[str, Any] = {}
    for item in _stages(root).get(stage, {}).get("params", []):
        wanted = item if isinstance(item, dict) else {"params.yaml": [item]}
        for file, keys in wanted.items():
            content = read_yaml(root / file)
            for key in keys or [""]:
                parameters[f"{file}:{key}"] = _look_up(content, key)
    return parameters


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _stages(root: Path) -> dict[str, Any]:
    path = root / "dvc.yaml"
    return (read_yaml(path) or {}).get("stages", {}) if path.exists() else {}


def _paths(items: list[Any]) -> list[str]:
    """Paths of DVC's lists, whose entries are strings or one-key mappings of options."""
    return [next(iter(item)) if isinstance(item, Mapping) else str(item) for item in items]


def _tracked(root: Path) -> dict[str, str]:
    owners = [read_yaml(path) for path in sorted(root.glob("*.dvc")) if path.is_file()]
    if (root / "dvc.lock").exists():
        owners += (read_yaml(root / "dvc.lock") or {}).get("stages", {}).values()
    return {
        out["path"]: str(out.get("md5", "")) for owner in owners for out in owner.get("outs", [])
    }


def _spelled(value: Any) -> Any:
    """Plain data as JSON can have it: no number there is infinite, and every key is a string."""
    if isinstance(value, Mapping):
        return {str(key): _spelled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_spelled(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _whole(value: Any) -> Any:
    """Plain data whose whole numbers are integers: `1.0` equals `1`, as DVC compares them."""
    if isinstance(value, Mapping):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _look_up(content: Any, key: str) -> Any:
    for part in key.split(".") if key else []:
        content = content.get(part) if isinstance(content, Mapping) else None
    return content
