import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bloomdiff.selection.geometry import unit
from bloomdiff.selection.limits import Gate, Limits
from bloomdiff.selection.twins import TwinFilter, iou, repeats_of


def place(field="", slide="", patient="", predicted=""):
    return {"field": field, "slide": slide, "patient": patient, "class": predicted}


def table(places):
    return pd.DataFrame(places, columns=["field", "slide", "patient", "class"], dtype=str)


def fill(limits, places):
    made = Limits(**limits)
    gate = Gate(made, made.longest(table(places)))
    taken = []
    for i, one in enumerate(places):
        if gate.admits(one):
            gate.take(one)
            taken.append(i)
    return gate, taken


@pytest.mark.parametrize(
    ("cap", "what"), [("per_field", "field"), ("per_slide", "slide"), ("per_patient", "patient")]
)
def test_caps(cap, what):
    places = [place(**{what: name}) for name in "aaabab"]
    assert fill({cap: 2}, places)[1] == [0, 1, 3, 5]


def test_no_name_has_no_cap():
    assert len(fill({"per_field": 1}, [place()] * 5)[1]) == 5


def test_classes_share_the_queue():
    places = [place(predicted=c) for c in "xxxxxyz"]
    assert fill({"objects": 6, "per_class": 0.34}, places)[1] == [0, 1, 5, 6]


def test_fields_are_opened_up_to_the_budget():
    places = [place(field=f) for f in "abcab"]
    gate, taken = fill({"fields": 2}, places)
    assert taken == [0, 1, 3, 4]
    assert gate.told() == {"objects": 4, "fields": 2, "minutes": 2.0}


def test_minutes_are_cells_and_fields_opened():
    limits = {"minutes": 3, "minutes_per_object": 0.5, "minutes_per_field": 1}
    gate, taken = fill(limits, [place(field=f) for f in "abaa"])
    # a: 1.5, then b would be 3.0, then nothing is left.
    assert taken == [0, 1]
    assert gate.minutes == 3
    assert gate.is_full


@pytest.mark.parametrize(
    ("limits", "longest"),
    [
        ({"objects": 5}, 5),
        ({"objects": 90}, 12),
        ({"objects": 90, "fields": 1}, 8),  # the fullest, and two cells without a field
        ({"objects": 90, "fields": 2, "per_field": 3}, 8),
        ({"objects": 90, "minutes": 4, "minutes_per_object": 0.5}, 7),  # one field is opened
        ({"objects": 90, "minutes": 0.4, "minutes_per_object": 0.1, "minutes_per_field": 0}, 4),
        ({"objects": 90, "minutes": 1, "minutes_per_object": 0, "minutes_per_field": 1}, 8),
        ({"objects": 90, "minutes": 0.1}, 0),
        ({"objects": 90, "per_slide": 2}, 6),
        ({"objects": 90, "per_patient": 3}, 3),
    ],
)
def test_the_longest_queue_opens_the_fullest_fields(limits, longest):
    places = [place(field, f"slide {field}", "p") for field in "aaaaaabbbb"]
    assert Limits(**limits).longest(table([*places, *[place("", "", "p")] * 2])) == longest


def test_the_share_of_a_class_is_of_the_queue_that_the_budgets_allow():
    places = [place(predicted=c) for c in "xxxxxxyyyyyyzzzzzzwwwwww"]
    limits = {"objects": 24, "minutes": 4, "minutes_per_object": 0.5, "per_class": 0.25}
    _, taken = fill(limits, places)
    assert [places[i]["class"] for i in taken] == list("xxyyzzww")


@pytest.mark.parametrize("share", [0.29, 0.57, 0.58])
def test_a_share_of_a_hundred_is_a_whole_number(share):
    gate = Gate(Limits(objects=100, per_class=share), 100)
    for _ in range(100):
        if gate.admits(place(predicted="x")):
            gate.take(place(predicted="x"))
    assert gate.count == round(100 * share)


@settings(max_examples=100, deadline=None)
@given(
    names=st.lists(st.tuples(*[st.sampled_from(["", "a", "b", "c"])] * 4), min_size=1),
    caps=st.tuples(*[st.none() | st.integers(1, 3)] * 4),
    minutes=st.none() | st.floats(0.1, 4),
    share=st.none() | st.floats(0.1, 1),
)
def test_what_is_shut_out_is_what_is_not_admitted(names, caps, minutes, share):
    limits = dict(zip(("fields", "per_field", "per_slide", "per_patient"), caps, strict=True))
    places = [place(*one) for one in names]
    gate, _ = fill(limits | {"minutes": minutes, "per_class": share, "objects": 50}, places)
    if not gate.is_full:
        admitted = [gate.admits(one) for one in places]
        assert gate.shuts_out(table(places)).tolist() == [not one for one in admitted]


@settings(max_examples=50, deadline=None)
@given(
    fields=st.lists(st.sampled_from("abcd"), max_size=40),
    minutes=st.floats(0.1, 10),
    objects=st.integers(1, 20),
    cap=st.integers(1, 5),
)
def test_no_limit_is_ever_broken(fields, minutes, objects, cap):
    limits = {"minutes": minutes, "objects": objects, "per_field": cap, "fields": 2}
    gate, taken = fill(limits, [place(field=f) for f in fields])
    chosen = [fields[i] for i in taken]
    assert len(chosen) <= objects
    assert len(set(chosen)) <= 2
    assert all(chosen.count(f) <= cap for f in chosen)
    assert 0.25 * len(chosen) + 0.5 * len(set(chosen)) <= minutes + 1e-6
    assert gate.count == len(chosen)


def test_iou_counts_pixels():
    rng = np.random.default_rng(0)
    boxes = np.concatenate([rng.integers(0, 20, (12, 2)), rng.integers(1, 20, (12, 2))], axis=1)
    masks = np.zeros((12, 40, 40), dtype=bool)
    for mask, (x, y, w, h) in zip(masks, boxes, strict=True):
        mask[y : y + h, x : x + w] = True
    for i, box in enumerate(boxes):
        truth = (masks & masks[i]).sum(axis=(1, 2)) / (masks | masks[i]).sum(axis=(1, 2))
        np.testing.assert_allclose(iou(box.astype(float), boxes.astype(float)), truth)


def test_overlapping_boxes_and_equal_embeddings_are_one_cell():
    U = unit(np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32))
    U[4] = U[0]
    boxes = np.asarray(
        [[0, 0, 10, 10], [1, 1, 10, 10], [1, 1, 10, 10], [40, 0, 9, 9], [np.nan] * 4]
    )
    twins = TwinFilter(U, ["f", "f", "g", "f", ""], boxes, min_cosine=0.999, min_iou=0.5)
    assert not twins.repeats(0)
    twins.take(0)
    assert [twins.repeats(i) for i in range(1, 5)] == [True, False, False, True]
    assert repeats_of(U, U[:1], min_cosine=0.999).tolist() == [0, 4]


def test_many_cells_are_remembered_one_by_one():
    U = unit(np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32))
    U[200:] = U[:200]
    twins = TwinFilter(U, [""] * 400, np.full((400, 4), np.nan), min_cosine=0.9999, min_iou=0.5)
    for i in range(200):
        assert not twins.repeats(i)
        twins.take(i)
    assert all(twins.repeats(i) for i in range(200, 400))


def test_a_labelled_box_is_not_asked_again():
    U = unit(np.random.default_rng(0).normal(size=(1, 8)).astype(np.float32))
    boxes = np.asarray([[0, 0, 10.0, 10]])
    twins = TwinFilter(U, ["f"], boxes, min_cosine=0.999, min_iou=0.5)
    twins.remember_boxes(["f"], boxes + 0.5)
    assert twins.repeats(0)


def most_cells(places, limits):
    """The longest queue by trying every one: an oracle for a handful of cells."""
    made = Limits(**limits)
    best = 0
    for subset in range(1 << len(places)):
        chosen = [one for i, one in enumerate(places) if subset >> i & 1]
        gate = Gate(made, len(places))
        # What opens no field comes first: the order in which cells come in changes no count.
        taken = 0
        for one in chosen:
            if not gate.admits(one):
                break
            gate.take(one)
            taken += 1
        best = max(best, taken)
    return best


@settings(max_examples=60, deadline=None)
@example([(p, s, 1) for p in (0, 1) for s in (0, 1)] * 2, (2, None, 1, None), None)
@example([(0, 0, 1), (0, 1, 1), (1, 0, 1)] * 2, (None, None, 1, None), 1.6)
@given(
    tree=st.lists(st.tuples(*[st.integers(0, 1)] * 3), min_size=1, max_size=8),
    caps=st.tuples(*[st.none() | st.integers(1, 3)] * 4),
    minutes=st.none() | st.floats(0.1, 4),
)
def test_the_longest_queue_is_the_longest_of_all(tree, caps, minutes):
    limits = dict(zip(("fields", "per_field", "per_slide", "per_patient"), caps, strict=True))
    limits |= {"minutes": minutes, "objects": 7}
    # A field is of one slide, a slide of one patient; every second field is none.
    places = [place(f"{p}{s}{f}" if f else "", f"{p}{s}", f"{p}") for p, s, f in tree]
    assert Limits(**limits).longest(table(places)) == most_cells(places, limits)
