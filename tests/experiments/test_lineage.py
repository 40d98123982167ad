import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloomdiff.errors import InputError
from bloomdiff.experiments.lineage import (
    current_stages,
    dvc_inputs,
    git_tags,
    inputs_digest,
    known_digests,
    stage_names,
)
from bloomdiff.experiments.processes import is_dvc

DVC_YAML = """
stages:
  embed:
    cmd: x
    deps: [data/cells/a.png, src/code.py]
    params: [encoder, sweep.ratios]
    outs:
      - embeddings.parquet
  report:
    cmd: x
    deps: [embeddings.parquet]
    params: [other.yaml: [k], params.yaml: [sweep]]
    outs:
      - reports/runs.csv:
          cache: false
"""
LOCK = """
stages:
  embed:
    outs: [{path: embeddings.parquet, hash: md5, md5: abc, size: 1}]
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    (tmp_path / "dvc.lock").write_text(LOCK)
    (tmp_path / "data.dvc").write_text("outs: [{path: data, md5: def.dir}]\n")
    (tmp_path / "params.yaml").write_text("encoder: e\nsweep: {ratios: [1], seeds: 2}\n")
    (tmp_path / "other.yaml").write_text("k: 1\nl: 1\n")
    return tmp_path


def test_inputs_have_the_hash_of_whoever_owns_them(project):
    assert stage_names(project) == ["embed", "report"]
    assert dvc_inputs(project, "embed") == {"data/cells/a.png": "def.dir"}
    assert dvc_inputs(project, "report") == {"embeddings.parquet": "abc"}
    assert dvc_inputs(project, "unknown") == {}


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("params.yaml", "[1]", "[2]", {"embed", "report"}),
        ("params.yaml", "seeds: 2", "seeds: 3", {"report"}),
        ("params.yaml", "encoder: e", "encoder: f", {"embed"}),
        ("other.yaml", "k: 1", "k: 2", {"report"}),
        ("other.yaml", "l: 1", "l: 2", set()),
        ("data.dvc", "def", "fed", {"embed"}),
        ("dvc.lock", "abc", "cba", {"report"}),
    ],
)
def test_digest_changes_with_what_the_stage_reads(project, file, old, new, changed):
    before = {stage: inputs_digest(project, stage) for stage in ("embed", "report")}
    text = (project / file).read_text()
    assert old in text
    (project / file).write_text(text.replace(old, new))
    after = {stage: inputs_digest(project, stage) for stage in ("embed", "report")}
    assert {stage for stage in before if before[stage] != after[stage]} == changed


def test_infinity_is_told_as_a_string_and_keys_are_strings(project):
    digests = []
    for ratios in ("[1, .inf]", "[1, inf]", "[1, .nan]", "[1, -.inf]"):
        (project / "params.yaml").write_text(f"encoder: {{1: 2}}\nsweep: {{ratios: {ratios}}}\n")
        digests.append(inputs_digest(project, "embed"))
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_numbers_that_dvc_holds_for_equal_have_one_digest(project):
    digests = set()
    for number in ("2", "2.0", "2e0", "0.2e1"):
        (project / "params.yaml").write_text(f"encoder: e\nsweep: {{ratios: [0, {number}, inf]}}\n")
        digests.add(inputs_digest(project, "embed"))
    assert digests == {"7fc1e033cc9c5b5c329beab36aba2a390ccd193a051463d2dc65155811216a3b"}  # of old


def test_runs_from_before_know_the_parameters_as_they_were_spelled(project):
    # Of `[0, 2.0]`, as written where whole numbers were not yet integers.
    before = "a9a61aa8fe036a45dce219013235aacbedeb1408a735e8000958d9643862de61"
    (project / "params.yaml").write_text("encoder: e\nsweep: {ratios: [0, 2.0]}\n")
    assert before in known_digests(project, "embed")
    assert known_digests(project, "embed")[0] == inputs_digest(project, "embed") != before
    (project / "params.yaml").write_text("encoder: e\nsweep: {ratios: [0, 2]}\n")
    assert before not in known_digests(project, "embed")
    entry = "params: {params.yaml: {sweep.ratios: [0, 2.0]}}\n    outs"
    (project / "dvc.lock").write_text(LOCK.replace("outs", entry))
    assert before in known_digests(project, "embed")


@pytest.mark.parametrize(("written", "locked"), [("1e-3", "0.001"), ("2e0", "2.0"), ("1.0", "1")])
def test_a_stage_is_current_however_its_numbers_are_spelled(project, written, locked):
    (project / "params.yaml").write_text(f"encoder: e\nsweep: {{ratios: [{written}]}}\n")
    entry = f"params: {{params.yaml: {{sweep.ratios: [{locked}]}}}}\n    outs"
    (project / "dvc.lock").write_text(LOCK.replace("outs", entry))
    (project / "embeddings.parquet").touch()
    assert current_stages(project) == ["embed"]


def test_missing_parameters_are_told(project):
    (project / "params.yaml").unlink()
    with pytest.raises(InputError, match=r"params\.yaml"):
        inputs_digest(project, "embed")


def test_without_dvc_nothing_is_known(tmp_path):
    assert dvc_inputs(tmp_path, "embed") == {}
    assert inputs_digest(tmp_path, "embed") == inputs_digest(tmp_path, "report")
    assert git_tags(tmp_path) == {}


def test_commit_and_dirt(project):
    def git(*arguments):
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        command = ["git", "-C", str(project), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    (project / "reports").mkdir()
    (project / "reports" / "runs.csv").write_text("a")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "m")
    clean = {"git.commit": git("rev-parse", "HEAD"), "git.dirty": "false"}
    assert git_tags(project) == clean
    (project / "dvc.lock").write_text(LOCK.replace("abc", "new"))
    (project / "reports" / "runs.csv").write_text("b")
    (project / "notes.txt").write_text("not tracked")
    assert git_tags(project) == clean  # what the pipeline writes is not dirt
    (project / "params.yaml").write_text("encoder: f\n")
    assert git_tags(project) == {**clean, "git.dirty": "true"}


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["dvc", "repro"], True),
        (["/usr/bin/python3", "/env/bin/dvc", "exp", "run"], True),
        (["python", "-m", "dvc", "repro"], True),
        (["/bin/sh", "-c", "dvc repro && echo done"], False),
        (["bloomdiff", "stage", "embed"], False),
        (["vim", "dvc.yaml"], False),
        ([], False),
    ],
)
def test_which_command_is_dvc(command, expected):
    assert is_dvc(command) == expected


@given(st.lists(st.text(alphabet="abcdv/.-", max_size=8), max_size=5))
def test_only_a_word_that_is_dvc_counts(words):
    if not any(word.rstrip("/").split("/")[-1] == "dvc" for word in words):
        assert not is_dvc(words)
