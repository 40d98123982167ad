"""`dvc.yaml` names all code that makes a stage's results, so that `dvc repro` sees it change."""

import re
from pathlib import Path

import pytest
import yaml
from reached_code import PACKAGE, reached

from bloomdiff.cli.stage import STAGES

DVC = yaml.safe_load((Path(__file__).parents[2] / "dvc.yaml").read_text())["stages"]
# What carries results and does not make them; what a parameter is, `params` tells DVC.
CARRIES = frozenset(
    name
    for name in (str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))
    if re.fullmatch(r"\w+\.py", name)
    or re.fullmatch(r"stages/(project|work|children|history)\.py", name)
    or re.fullmatch(r"experiments/(tracking\w*|mlflow_store|trial_runs)\.py", name)
    or re.fullmatch(r"experiments/(parents|processes|sqlite)\.py", name)
)


def code_of(stage):
    """Modules that the stage's `run` may run, without the packages' `__init__`."""
    found = reached((f"stages/{stage}.py", "run"), CARRIES)
    return {Path(module) for module in found if not module.endswith("__init__.py")}


def missing(code, deps):
    """Modules that no dependency covers."""
    folder = "src/bloomdiff/"
    covered = {Path(dep.removeprefix(folder)) for dep in deps if dep.startswith(folder)}
    return sorted(str(module) for module in code if not covered & {module, *module.parents})


def test_every_stage_is_looked_at():
    assert list(DVC) == list(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_code_that_makes_its_results_and_on_no_other(stage):
    code, deps = code_of(stage), DVC[stage]["deps"]
    assert missing(code, deps) == [], f"add these to the deps of {stage} in dvc.yaml"
    for dep in (dep for dep in deps if dep.startswith("src/")):
        assert missing(code, [other for other in deps if other != dep]), f"{dep} is not run"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_may_read_images_depends_on_images_and_encoder(stage):
    told = DVC[stage]
    if Path("data/images.py") in code_of(stage):
        assert {"data", "manifest/cells.parquet"} <= set(map(str, told["deps"] + told["outs"]))
    if Path("generators/cell_images.py") in code_of(stage):
        assert {"encoder", "embed"} <= set(told["params"])
        assert "src/bloomdiff/encoders" in told["deps"]


def test_lazy_imports_registries_and_packages_are_followed():
    fit = {str(module) for module in code_of("fit_generator")}
    assert {
        "generators/smote.py",  # by its registration
        "diffusion/training.py",  # imported inside a function
        "imaging/network.py",
        "generators/lora_training.py",
        "encoders/vit.py",
        "stages/inputs.py",
    } <= fit
    assert Path("encoders/embed.py") in code_of("embed")  # by the package's `__getattr__`
    assert not {module for module in code_of("simulate") if module.parts[0] == "generators"}


def test_a_stage_that_asks_for_the_primary_classifier_depends_on_its_name():
    asked = re.compile(r"params\.(primary|judge)\b")
    asking = {
        stage
        for stage in STAGES
        if any(asked.search((PACKAGE / module).read_text()) for module in code_of(stage))
    }
    told = {stage for stage in STAGES if {"sweep", "sweep.primary"} & set(DVC[stage]["params"])}
    assert {"tune_generator", "classify", "simulate"} <= asking
    assert asking == told
