"""A copy of the project in a temporary folder, and the commands that users type in it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
REAL_CELLS = ROOT.parent / "shared" / "data"


@dataclass(frozen=True)
class Workspace:
    """A checkout at `root` with its own DVC, MLflow and Optuna stores."""

    root: Path

    @classmethod
    def create(cls, root: Path, params: str = "params.demo.yaml") -> Workspace:
        subprocess.run([ROOT / ".ci" / "workspace", root, params], check=True, env=environment())
        return cls(root)

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, cwd=self.root, env=environment(), capture_output=True, text=True
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
        return done

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def set_param(self, key: str, value: object) -> None:
        path = self.root / "params.yaml"
        content = yaml.safe_load(path.read_text())
        block = content
        *parents, last = key.split(".")
        for parent in parents:
            block = block[parent]
        block[last] = value
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    def stages_run(self, output: str) -> list[str]:
        return [
            line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")
        ]


def environment() -> dict[str, str]:
    scripts = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "DVC_NO_ANALYTICS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
