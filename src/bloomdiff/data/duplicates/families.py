"""From pairs of duplicates to groups, and the refusal of a cell with two labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from bloomdiff.data.manifest import fields_of
from bloomdiff.errors import InputError, raise_all


def join_families(cells: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Merge the groups of duplicates: `group` becomes the union of given groups and families.

    Groups that share a field of view are merged as well: its crops may overlap, and were stained
    and lit as one.

    Parameters
    ----------
    cells
        Manifest; a cell without a group is a group of its own.
    pairs
        Table of `find_duplicates`.

    Returns
    -------
    DataFrame
        The same rows in the same order; a merged group bears the first of its groups' names.

    Raises
    ------
    InputError
        Duplicates with two labels, all of them, with both ids and labels.
    """
    raise_all(list(_contradictions(cells, pairs)))
    given = cells["group"].where(cells["group"] != "", cells["cell_id"]).astype(object)
    names = np.unique(given.to_numpy(dtype=str))
    group = pd.Series(np.searchsorted(names, given.to_numpy(dtype=str)), index=cells["cell_id"])
    links = np.stack([group[pairs["cell_a"]].to_numpy(), group[pairs["cell_b"]].to_numpy()], axis=1)
    shared = _of_one_field(cells, group.to_numpy())
    family = components(np.concatenate([links, shared]), len(names))
    # Names are sorted, so the first member of each family has its first name.
    _, first = np.unique(family, return_index=True)
    return cells.assign(group=names[first[family[group.to_numpy()]]].astype(object))


def _of_one_field(cells: pd.DataFrame, group: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Links `(m, 2)` between the groups of each field of view."""
    field = field_numbers(cells)
    inside = pd.Series(group[field >= 0])
    first = inside.groupby(field[field >= 0]).transform("first").to_numpy(dtype=np.intp)
    return np.stack([first, inside.to_numpy(dtype=np.intp)], axis=1)


def field_numbers(cells: pd.DataFrame) -> npt.NDArray[np.intp]:
    """Number of each cell's field of view, `(n,)`; -1 for a cell that was cut out of none."""
    field = fields_of(cells)
    return np.where(field == "", -1, pd.factorize(field)[0].astype(np.intp))


def components(links: npt.NDArray[np.intp], n: int) -> npt.NDArray[np.intp]:
    """Number of the connected component of each of n nodes, from links `(m, 2)`."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(n, n))
    return connected_components(graph, directed=False)[1].astype(np.intp)


def _contradictions(cells: pd.DataFrame, pairs: pd.DataFrame) -> Iterator[InputError]:
    label = cells.set_index("cell_id")["label"]
    told = set()
    for pair in (*_same_cell(pairs), *_of_one_cell(label, pairs)):
        a, b = sorted(pair)
        if label[a] and label[b] and label[a] != label[b] and (a, b) not in told:
            told.add((a, b))
            yield InputError(
                f"manifest cells {a!r} and {b!r}",
                f"show the same cell but are labelled {label[a]!r} and {label[b]!r}",
                "correct a label or drop one of the rows",
            )


def _of_one_cell(label: pd.Series, pairs: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """The first cell of each label that copies of one cell have, and the first of all.

    Copies may be linked by others alone, which may have no label.
    """
    ids, links = np.unique(np.array([*_same_cell(pairs)], dtype=str), return_inverse=True)
    copies = components(links.reshape(-1, 2).astype(np.intp), len(ids))
    table = pd.DataFrame({"cell": ids, "of": copies, "label": label[ids].to_numpy()})
    for _, cells in table[table["label"] != ""].groupby("of"):
        first, *others = cells.drop_duplicates("label")["cell"]
        yield from ((first, other) for other in others)


def _same_cell(pairs: pd.DataFrame) -> Iterable[tuple[str, str]]:
    """Pairs that show one cell, rather than two cells on overlapping crops."""
    alike = pairs[pairs["same_cell"].astype(bool)]
    return zip(alike["cell_a"], alike["cell_b"], strict=True)
