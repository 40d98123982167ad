"""What the command line says without a command."""

from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from bloomdiff.cli import app


@pytest.mark.parametrize("behind", [[], ["results"], ["no-such-command"]])
def test_the_version_needs_no_command(behind):
    done = CliRunner().invoke(app, ["--version", *behind])
    assert (done.exit_code, done.output) == (0, f"{version('bloomdiff')}\n")


def test_the_help_tells_what_the_program_is_for():
    done = CliRunner().invoke(app, ["--help"])
    assert done.exit_code == 0
    assert "Diffusion on cell embeddings" in done.output
    assert "--version" in done.output
