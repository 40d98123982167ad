import subprocess
import sys

PRELUDE = """
import sys, types
from bloomdiff.encoders import timm_import
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + code], capture_output=True, text=True, check=False
    )


# A torchvision of either kind in front of the real one: the first import of a broken one fails as
# the CUDA wheel does beside a CPU torch, until the operator's schema exists.
FAKE = """
import pathlib, tempfile, textwrap
folder = pathlib.Path(tempfile.mkdtemp()) / "torchvision"
folder.mkdir()
(folder / "__init__.py").write_text(textwrap.dedent('''
    import torch
    {body}
'''))
sys.path.insert(0, str(folder.parent))
"""
BROKEN = 'torch.library.register_fake("torchvision::nms")(lambda *a: None)'


def test_a_torchvision_that_lacks_its_operators_is_imported_nevertheless() -> None:
    plain = run(FAKE.format(body=BROKEN) + "import torchvision")
    assert "operator torchvision::nms does not exist" in plain.stderr
    mended = run(FAKE.format(body=BROKEN) + "print(timm_import.import_torchvision().__name__)")
    assert mended.stdout.strip() == "torchvision", mended.stderr


def test_a_sound_torchvision_is_left_alone() -> None:
    done = run(
        FAKE.format(body="answer = 42")
        + "print(timm_import.import_torchvision().answer, timm_import._kept)"
    )
    assert done.stdout.split() == ["42", "[]"], done.stderr


def test_another_error_of_torchvision_is_not_swallowed() -> None:
    done = run(
        FAKE.format(body='raise RuntimeError("something else")')
        + "timm_import.import_torchvision()"
    )
    assert "RuntimeError: something else" in done.stderr


def test_timm_of_this_environment_imports() -> None:
    done = run("print(timm_import.import_timm().is_model('resnet18'))")
    assert done.stdout.strip() == "True", done.stderr
