"""`make data` draws the phantom only where `data.dvc` is the one that comes with the project."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text()


def test_the_phantom_that_make_draws_is_the_one_that_is_tracked():
    (drawn,) = re.findall(r"^PHANTOM := (\w+)$", MAKEFILE, re.MULTILINE)
    assert f"md5: {drawn}.dir" in (ROOT / "data.dvc").read_text()


@pytest.mark.parametrize(
    ("tracked", "there", "said"),
    [
        ("phantom", False, "bloomdiff data phantom"),
        (None, False, "bloomdiff data phantom"),
        ("others", False, "dvc checkout data.dvc"),
        ("others", True, ""),
        ("phantom", True, ""),
    ],
)
def test_cells_of_ones_own_are_fetched_and_not_replaced(tmp_path, tracked, there, said):
    (tmp_path / "Makefile").write_text(MAKEFILE)
    for name in ("bloomdiff", "dvc"):
        tool = tmp_path / ".venv" / "bin" / name
        tool.parent.mkdir(parents=True, exist_ok=True)
        tool.write_text(f'#!/bin/sh\necho {name} "$@"\n')
        tool.chmod(0o755)
    for name in ("pyproject.toml", "constraints.txt", ".venv/.installed"):
        (tmp_path / name).touch()
    if tracked:
        text = (ROOT / "data.dvc").read_text()
        md5 = re.search(r"md5: (\w+)\.dir", text)[1]
        (tmp_path / "data.dvc").write_text(
            text if tracked == "phantom" else text.replace(md5, md5[::-1])
        )
    if there:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "manifest.csv").touch()
    # The tests may be run by make, which tells its own about it.
    own = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "--no-print-directory", "data"]
    done = subprocess.run(command, cwd=tmp_path, env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.replace("make: Nothing to be done for 'data'.\n", "").strip() == said
