from __future__ import annotations

import networkx as nx
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bloomdiff.data.duplicates import join_families
from bloomdiff.errors import InputError

N = 12


def manifest(groups) -> pd.DataFrame:
    ids = [f"c{i:02d}" for i in range(len(groups))]
    return pd.DataFrame({"cell_id": ids, "group": groups, "label": ""}, dtype=object)


def pairs_of(links) -> pd.DataFrame:
    rows = [(f"c{a:02d}", f"c{b:02d}", True) for a, b in links]
    return pd.DataFrame(rows, columns=["cell_a", "cell_b", "same_cell"])


nodes = st.integers(0, N - 1)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(["", "p", "q", "r"]), min_size=N, max_size=N),
    st.lists(st.tuples(nodes, nodes), max_size=8),
)
def test_groups_are_the_connected_components_of_given_groups_and_pairs(groups, links):
    cells = manifest(groups)
    graph = nx.Graph(links)
    graph.add_nodes_from(range(N))
    for name in {*groups} - {""}:
        members = [i for i, g in enumerate(groups) if g == name]
        nx.add_path(graph, members)
    expected = {frozenset(c) for c in nx.connected_components(graph)}
    joined = join_families(cells, pairs_of(links))
    found = {frozenset(rows.index) for _, rows in joined.groupby("group")}
    assert found == expected
    for _, rows in joined.groupby("group"):
        given_names = [cells["group"][i] or cells["cell_id"][i] for i in rows.index]
        assert set(rows["group"]) == {min(given_names)}


def test_without_pairs_groups_stay_and_cells_without_one_are_their_own():
    cells = manifest(["p", "", "p"])
    assert join_families(cells, pairs_of([]))["group"].tolist() == ["p", "c01", "p"]


def test_joining_again_changes_nothing():
    cells = join_families(manifest([""] * 5), pairs_of([(0, 3), (3, 4)]))
    assert join_families(cells, pairs_of([(0, 3), (3, 4)])).equals(cells)


def boxes(groups, fields, sources="lab") -> pd.DataFrame:
    return manifest(groups).assign(field=fields, source=sources)


def test_crops_of_one_field_share_a_group():
    cells = boxes([""] * 6, ["f", "g", "f", "", "", "g"])
    joined = join_families(cells, pairs_of([(0, 3)]))
    assert joined["group"].tolist() == ["c00", "c01", "c00", "c00", "c04", "c01"]
    assert join_families(joined, pairs_of([(0, 3)])).equals(joined)


def test_a_field_in_two_given_groups_merges_them():
    cells = boxes(["q", "", "p", "q", "r"], ["f", "f", "f", "", "g"])
    joined = join_families(cells, pairs_of([]))
    assert joined["group"].tolist() == ["c01", "c01", "c01", "c01", "r"]


def test_groups_that_hold_whole_fields_keep_their_names():
    cells = boxes(["lab/g", "lab/f", "lab/f", "p", "p"], ["g", "f", "f", "h", "i"])
    assert join_families(cells, pairs_of([]))["group"].tolist() == cells["group"].tolist()


def test_fields_of_two_sources_may_bear_one_name():
    cells = boxes([""] * 4, ["f", "f", "f", None], ["a", "a", "b", "b"])
    joined = join_families(cells, pairs_of([]))
    assert joined["group"].tolist() == ["c00", "c00", "c02", "c03"]


def test_copies_with_two_labels_are_told_though_an_unlabelled_one_stands_between():
    cells = manifest([""] * 5).assign(label=["", "x", "y", "x", "z"])
    with pytest.raises(InputError) as caught:
        join_families(cells, pairs_of([(0, 1), (0, 2), (0, 3)]))
    assert "'c01' and 'c02'" in str(caught.value)
    assert "c04" not in str(caught.value)
    overlapping = pairs_of([(0, 1), (0, 2)]).assign(same_cell=False)
    assert join_families(cells, overlapping)["group"].nunique() == 3
