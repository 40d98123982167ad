"""Fitted things on disk: whole, checked, and only what they say they are."""

import json

import numpy as np
import pytest

from bloomdiff.artifacts import read_artifact, registered_kind, write_artifact
from bloomdiff.errors import InputError, IntegrityError
from bloomdiff.registry import Registry

STATE = {"b": np.arange(3.0), "a": np.eye(2, dtype=np.float32)[:, ::-1]}
THINGS: Registry[str] = Registry("thing")
THINGS.register("lamp")("the lamp")


def test_round_trip(tmp_path):
    write_artifact(tmp_path / "x", "thing", {"thing": "lamp", "seed": 3}, STATE)
    card, state = read_artifact(tmp_path / "x", "thing", "lamp")
    assert card["seed"] == 3
    assert state.keys() == STATE.keys()
    for name, value in STATE.items():
        np.testing.assert_array_equal(state[name], value)
        assert state[name].dtype == value.dtype
    assert registered_kind(tmp_path / "x", THINGS) == "the lamp"


def test_files_of_others_in_the_folder_are_not_lost(tmp_path):
    write_artifact(tmp_path / "x", "thing", {"thing": "lamp"}, STATE)
    write_artifact(tmp_path / "x", "thing", {"thing": "lamp", "seed": 4}, STATE)
    assert read_artifact(tmp_path / "x", "thing", "lamp")[0]["seed"] == 4
    (tmp_path / "x" / "thesis.docx").write_text("mine")
    with pytest.raises(InputError, match=r"x/thesis\.docx: would be lost; name a new or empty"):
        write_artifact(tmp_path / "x", "thing", {"thing": "lamp", "seed": 5}, STATE)
    assert (tmp_path / "x" / "thesis.docx").read_text() == "mine"
    assert read_artifact(tmp_path / "x", "thing", "lamp")[0]["seed"] == 4


def test_equal_content_gives_equal_bytes(tmp_path):
    for name, state in {"x": STATE, "y": dict(reversed(STATE.items()))}.items():
        write_artifact(tmp_path / name, "thing", {"thing": "lamp"}, state)
    for file in ("thing.json", "state.safetensors"):
        assert (tmp_path / "x" / file).read_bytes() == (tmp_path / "y" / file).read_bytes()


def test_damage_and_loss_are_told(tmp_path):
    write_artifact(tmp_path / "x", "thing", {"thing": "lamp"}, STATE)
    state = tmp_path / "x" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-1] + b"!")
    with pytest.raises(IntegrityError, match=r"state\.safetensors"):
        read_artifact(tmp_path / "x", "thing", "lamp")
    state.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        read_artifact(tmp_path / "x", "thing", "lamp")


def test_a_card_that_lacks_a_part_is_told(tmp_path):
    write_artifact(tmp_path / "x", "thing", {"thing": "lamp", "seed": 3}, STATE)
    card, _ = read_artifact(tmp_path / "x", "thing", "lamp")
    with pytest.raises(IntegrityError, match=r"x/thing\.json: lacks 'classes'; delete the folder"):
        card["classes"]
    path = tmp_path / "x" / "thing.json"
    path.write_text(path.read_text().replace("sha256", "sha1"))
    with pytest.raises(IntegrityError, match=r"thing\.json: lacks 'sha256'"):
        read_artifact(tmp_path / "x", "thing", "lamp")


def test_another_layout_is_told(tmp_path):
    write_artifact(tmp_path / "old", "thing", {"thing": "lamp"}, STATE)
    write_artifact(tmp_path / "new", "thing", {"thing": "lamp", "layout": 2}, STATE)
    assert read_artifact(tmp_path / "new", "thing", "lamp", layout=2)[0]["layout"] == 2
    with pytest.raises(InputError, match=r"old/thing\.json.* is of layout 1, .* reads layout 2"):
        read_artifact(tmp_path / "old", "thing", "lamp", layout=2)
    with pytest.raises(InputError, match=r"is of layout 2, .* reads layout 1"):
        read_artifact(tmp_path / "new", "thing", "lamp")


def test_another_kind_is_told(tmp_path):
    write_artifact(tmp_path / "x", "thing", {"thing": "chair"}, STATE)
    with pytest.raises(InputError, match="holds a 'chair'"):
        read_artifact(tmp_path / "x", "thing", "lamp")
    with pytest.raises(InputError, match="does not name a thing"):
        registered_kind(tmp_path / "x", THINGS)
    (tmp_path / "x" / "thing.json").write_text(json.dumps([1]))
    with pytest.raises(InputError, match="does not name a thing"):
        registered_kind(tmp_path / "x", THINGS)
