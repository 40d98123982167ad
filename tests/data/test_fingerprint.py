from __future__ import annotations

import hashlib
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloomdiff.data.fingerprint import Fingerprint, assert_disjoint, hash_group
from bloomdiff.errors import IntegrityError, LeakageError

names = st.text(min_size=1, max_size=8)
groups = st.sets(names, max_size=12)


@given(groups, groups)
def test_overlap_and_union_are_those_of_sets(a, b):
    fingerprint = Fingerprint.of(a)
    assert fingerprint.overlap(b) == sorted(a & b)
    assert fingerprint | Fingerprint.of(b) == Fingerprint.of(a | b)
    assert (fingerprint.digest == Fingerprint.of(b).digest) == (a == b)


@given(st.lists(names, min_size=1, max_size=12))
def test_order_and_repeats_do_not_matter(given_names):
    assert (
        Fingerprint.of(given_names).digest
        == Fingerprint.of([*given_names, *given_names][::-1]).digest
    )


@given(groups)
def test_it_survives_being_written(a):
    fingerprint = Fingerprint.of(a)
    assert Fingerprint.from_dict(fingerprint.to_dict()) == fingerprint


@given(groups, groups)
def test_the_guard_raises_exactly_where_groups_are_shared(fitted, tested):
    if fitted & tested:
        with pytest.raises(LeakageError, match=f"on {len(fitted & tested)} of the {len(tested)} "):
            assert_disjoint(tested, Fingerprint.of(fitted))
    else:
        assert_disjoint(tested, Fingerprint.of(fitted))


def test_hashes_are_blake2b_and_carry_no_names():
    expected = hashlib.blake2b(b"patient 7", digest_size=8).hexdigest()
    assert hash_group("patient 7") == expected
    assert Fingerprint.of(["patient 7"]).to_dict()["groups"] == [expected]


def test_a_group_added_to_a_written_fingerprint_is_noticed():
    written = Fingerprint.of(["a", "b"]).to_dict()
    written["groups"] = written["groups"][:1]
    with pytest.raises(IntegrityError, match=r"model\.json: the fingerprint does not match"):
        Fingerprint.from_dict(written, where="model.json")


def test_cells_without_a_group_have_no_fingerprint():
    with pytest.raises(ValueError, match="without a group"):
        Fingerprint.of(["a", ""])


def test_one_name_in_place_of_several_is_refused():
    with pytest.raises(TypeError, match="several names, however: 'patient1'"):
        Fingerprint.of("patient1")
    with pytest.raises(TypeError, match="several names"):
        assert_disjoint("patient1", Fingerprint.of(["patient1"]))


def test_the_error_names_what_and_how_many_and_which():
    @dataclass
    class Artefact:
        fingerprint: Fingerprint

    fitted = Artefact(Fingerprint.of([f"slide {k}" for k in range(9)]))
    with pytest.raises(LeakageError) as caught:
        assert_disjoint([*(f"slide {k}" for k in range(2, 12))], fitted, what="the scaler")
    assert str(caught.value) == (
        "the scaler: was fitted on 7 of the 10 groups under test (slide 2, slide 3, slide 4, "
        "slide 5, slide 6, ...); fit it on the training fold alone"
    )


def test_every_artefact_is_looked_at():
    with pytest.raises(LeakageError, match="was fitted on 1 of the 1 groups"):
        assert_disjoint(["a"], Fingerprint.empty(), Fingerprint.of(["b"]), Fingerprint.of(["a"]))
    assert_disjoint(["a"], Fingerprint.empty(), Fingerprint.of(["b"]))


def test_nothing_is_judged_on_cells_without_a_group():
    with pytest.raises(LeakageError, match="classifier: cannot be judged on a cell without a"):
        assert_disjoint(["a", ""], Fingerprint.of(["b"]), what="classifier")
