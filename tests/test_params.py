"""`params.yaml` is strict: each mistake is one line that names file, key and mend."""

from pathlib import Path

import pytest
import yaml

from bloomdiff.errors import ParameterError, ProblemsError
from bloomdiff.experiments.ratios import ratio_name
from bloomdiff.params import load_params

ROOT = Path(__file__).parents[1]
SHIPPED = ["params.yaml", "params.demo.yaml"]


def keys_of(value, prefix=""):
    if not isinstance(value, dict) or prefix.split(".")[0] in ("generators", "embed"):
        return {prefix}
    if prefix == "sweep.classifiers":
        return {prefix}
    return {k for name, v in value.items() for k in keys_of(v, f"{prefix}.{name}".strip("."))}


@pytest.fixture
def edited(tmp_path):
    def write(change):
        content = yaml.safe_load((ROOT / "params.yaml").read_text())
        change(content)
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    return write


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_parameters_are_valid(name):
    params = load_params(ROOT / name)
    assert params.primary in params.sweep.classifiers
    assert "none" in params.generators


@pytest.mark.parametrize(
    ("judge", "values"),
    [(None, {"pool_shares": 1.0}), ("logistic", {"C": 3.0}), ("label-spreading", {})],
)
def test_the_judge_of_replays_has_what_the_sweep_gives_it(edited, judge, values):
    def change(content):
        content["sweep"]["classifiers"] = {
            "diffusion": {"pool_shares": 1.0},
            "logistic": {"C": 3.0},
        }
        content["sweep"]["primary"] = "diffusion"
        content["simulate"]["classifier"] = judge

    params = load_params(edited(change))
    assert params.judge == (judge or "diffusion")
    assert params.judge_params == values


def test_the_primary_classifier_is_named_and_not_the_first_one(edited):
    for names in (["logistic", "knn"], ["knn", "logistic"]):

        def change(content, names=names):
            content["sweep"] |= {"classifiers": {name: {} for name in names}, "primary": "knn"}

        assert load_params(edited(change)).primary == "knn"
    with pytest.raises(ParameterError, match=r"sweep\.primary: is missing"):
        load_params(edited(lambda content: content["sweep"].pop("primary")))


def test_demo_has_the_same_keys_as_the_default():
    default, demo = (yaml.safe_load((ROOT / name).read_text()) for name in SHIPPED)
    assert keys_of(default) == keys_of(demo)


def test_default_spells_out_every_knob():
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    params = load_params(ROOT / "params.yaml")
    for block in ("phantom", "prepare", "tune_generator", "evaluate", "tune_classifier", "sweep"):
        dumped = getattr(params, block).model_dump()
        assert set(content[block]) == set(dumped), block
    assert set(content["prepare"]["folds"]) == set(params.prepare.folds.model_dump())
    assert set(content["prepare"]["duplicates"]) == set(params.prepare.duplicates.model_dump())
    assert set(content["embed"]) | {"name"} == set(params.encoder_params.model_dump())


def set_at(path, value):
    def change(content):
        *parents, last = path.split(".") if isinstance(path, str) else [path]
        for key in parents:
            content = content[key]
        content[last] = value

    return change


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("sweep.n_seed", 3, "sweep.n_seed: is not a known key; did you mean 'n_seeds'?"),
        ("seeed", 0, "seeed: is not a known key; did you mean 'seed'?"),
        ("seed", "many", "seed: is 'many'; input should be a valid integer"),
        ("sweep.ratios", [], "sweep.ratios: is []"),
        ("sweep.allocation", "fair", "sweep.allocation: is 'fair'"),
        ("prepare.folds.n_splits", 1, "prepare.folds.n_splits: is 1"),
        ("device", "tpu", "device: is 'tpu'"),
        ("generators.smoote", {}, "generators.smoote"),
        ("generators.smote", {"neighbours": 3}, "generators.smote"),
        ("sweep.classifiers.logistic", {"D": 3}, "sweep.classifiers.logistic"),
        ("simulate.classifier", "logistics", "simulate.classifier.logistics"),
        ("embed.imagesize", 3, "embed"),
        ("embed.name", "dinov2-s", "embed.name: is not a known key; set `encoder`"),
        ("encoder", "dinov9", "dinov9"),
        ("report.ratio", 3, "report.ratio: 3.0 is not run"),
        ("report.generator", "none", "report.generator: none is not a generator of rows; name one"),
        ("sweep.primary", "svm", "sweep.primary: svm is not run; name one of: logistic, knn"),
        ("sweep.primary", None, "sweep.primary: is None"),
        ("sweep.ratios", [0, -1, 1], "sweep.ratios.1: is -1; input should be greater"),
        ("sweep.ratios", [0, 1, float("nan")], "sweep.ratios.2: is nan"),
        ("sweep.ratios", [0, 1, 1.0], "each ratio comes once"),
        ("sweep.ratios", [0, 1, 1.0000001], "a ratio has at most six digits"),
        ("sweep.ratios", [0, 1 / 3], "a ratio has at most six digits"),
        ("sweep.calibration_folds", 1, "sweep.calibration_folds: is 1"),
        ("tracking.experiment", "blood/2026", "tracking.experiment: is 'blood/2026'"),
        ("tracking.experiment", "blood: 2026", "tracking.experiment"),
        ("tracking.experiment", "Anna's", "tracking.experiment"),
        ("tracking.experiment", "  ", "tracking.experiment"),
        ("seed", 2**32, "seed: is 4294967296; input should be less than"),
        ("seed", 2**32 - 1, "seed: is 4294967295"),
        ("sweep.n_seeds", 2**32, "sweep.n_seeds: is 4294967296"),
        ("simulate.n_seeds", 2**32, "simulate.n_seeds: is 4294967296"),
        ("sweep.classifiers.logistic", {"C": float("inf")}, "should be a finite number"),
        (1, 2, "1: is 1; keys should be strings"),
        ("generators", {"none": {}, 1: {}}, "generators.1"),
        (
            "generators.oversample",
            {"k": 3},
            "is not a known key; nothing can be set here: write {}",
        ),
    ],
)
def test_each_mistake_is_one_line(edited, key, value, says):
    with pytest.raises(ParameterError) as error:
        load_params(edited(set_at(key, value)))
    text = str(error.value)
    assert says in text
    assert "params.yaml" in text
    assert "\n" not in text


def test_missing_key_is_named(edited):
    with pytest.raises(ParameterError, match=r"evaluate\.k: is missing"):
        load_params(edited(lambda content: content["evaluate"].pop("k")))


def test_all_mistakes_are_told_at_once(edited):
    def change(content):
        content["seed"] = -1
        content["jobs"] = 0

    with pytest.raises(ProblemsError) as error:
        load_params(edited(change))
    assert len(str(error.value).splitlines()) == 2


def test_without_a_generator_of_rows_one_is_asked_for(edited):
    def change(content):
        content["generators"] = {"none": {}}
        content["report"]["generator"] = "none"

    with pytest.raises(ParameterError) as error:
        load_params(edited(change))
    assert "add one that makes synthetic rows to generators" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("inf", ["inf", float("inf")])  # the latter is `.inf`, YAML's own
def test_inf_is_a_ratio(edited, inf):
    def change(content):
        content["sweep"]["ratios"] = [-0.0, inf]
        content["report"]["ratio"] = inf

    params = load_params(edited(change))
    assert [ratio_name(ratio) for ratio in params.sweep.ratios] == ["0", "inf"]


def test_not_a_mapping(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("- 1\n")
    with pytest.raises(ParameterError, match="not a mapping"):
        load_params(path)
