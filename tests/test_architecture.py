"""Imports point down the street: nothing imports `stages` or `cli`, and rooms keep to their own."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import bloomdiff

PACKAGE = Path(bloomdiff.__file__).parent
BASE = {
    "artifacts",
    "cluster",
    "columns",
    "errors",
    "files",
    "learner",
    "registry",
    "parallel",
    "resumable",
    "threads",
    "torch_state",
    "validation",
    "vector_file",
    "yaml_numbers",
    "__init__",
}
MAY_IMPORT = {
    "data": BASE,
    "diffusion": BASE,
    "metrics": BASE | {"data"},
    "encoders": BASE | {"data"},
    "imaging": BASE | {"data", "diffusion", "encoders"},
    "generators": BASE | {"data", "diffusion", "encoders", "imaging"},
    "classifiers": BASE | {"data", "diffusion"},
    "experiments": BASE | {"data", "generators", "classifiers", "metrics"},
    "serving": BASE | {"data", "encoders", "classifiers", "metrics"},
    "selection": BASE | {"data", "diffusion", "classifiers", "metrics"},
    "report": BASE | {"data", "metrics"},
}
ALONE = {"mlflow": ("experiments/tracking", "serving/"), "optuna": ("experiments/studies/",)}


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def modules():
    return sorted(p for p in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_rooms_import_only_what_lies_below(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    allowed = MAY_IMPORT.get(room)
    own = {name.split(".")[1] for name in imports_of(path) if name.startswith("bloomdiff.")}
    if allowed is not None:
        assert own <= allowed | {room, "__version__"}
    elif room in BASE:
        assert own <= BASE
    elif room != "cli":
        assert "cli" not in own


@pytest.mark.parametrize("library", sorted(ALONE))
def test_trackers_live_in_one_place(library):
    users = {
        str(path.relative_to(PACKAGE).with_suffix(""))
        for path in modules()
        if any(name.split(".")[0] == library for name in imports_of(path))
    }
    assert users
    assert {user for user in users if not user.startswith(ALONE[library])} == set()


def test_diffusion_knows_neither_tables_nor_files():
    for path in (PACKAGE / "diffusion").glob("*.py"):
        roots = {name.split(".")[0] for name in imports_of(path)}
        assert not roots & {"pandas", "pathlib", "os", "json"}, path.name


def test_modules_stay_short():
    length = {p.name: len(p.read_text().splitlines()) for p in modules()}
    assert max(length.values()) <= 300
    assert sum(n > 250 for n in length.values()) <= 0.05 * len(length)


def test_help_imports_nothing_heavy():
    code = (
        "import sys; import bloomdiff.cli as c\n"
        "try: c.app(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({m.split('.')[0] for m in sys.modules}\n"
        "             & {'torch', 'numpy', 'pandas', 'sklearn', 'mlflow', 'optuna', 'pydantic'}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip().splitlines()[-1] == "[]"
