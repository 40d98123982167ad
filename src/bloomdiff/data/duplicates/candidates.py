"""Which pairs of cells are worth comparing: each cell with the few that look most like it.

Comparing all pairs of 20,000 cells would take days. Instead each image becomes a bag of visual
words [1]_, its local features rounded to a codebook, and is compared with the images whose bags are
nearest. The codebook is a random sample of the features, closed under mirroring, so that the bag of
the mirrored image is the same bag with its words renamed.

References
----------
.. [1] Sivic and Zisserman, "Video Google: A Text Retrieval Approach to Object Matching in Videos",
   ICCV 2003.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from bloomdiff.data.duplicates.features import Records, mirrored, root
from bloomdiff.data.embedding_set import EmbeddingSet, Floats

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_WORDS = 2048  # and as many mirrored ones
_FEATURES_A_WORD = 8  # at least: features that are words themselves would meet no copy of theirs
_BLOCK = 2**22  # similarities held at once

Index = npt.NDArray[np.intp]
Pair = tuple[int, int, bool]  # two positions, and whether the second image is flipped


def visual_words(records: Records) -> csr_matrix:
    """Bags of visual words of the features `(n,)`: unit tf-idf vectors float32 `(n, words)`.

    Word w and its mirror image stand half of the words apart. An image without features has an
    empty bag.
    """
    import scipy.sparse as sp

    count = records["n"]
    owner = np.repeat(np.arange(len(records)), count)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    # Always the same sample: the search is a tool, not an experiment.
    words = min(_WORDS, -(-len(owner) // _FEATURES_A_WORD))
    sample = np.sort(np.random.default_rng(0).permutation(len(owner))[:words])
    chosen = records["descriptor"][owner[sample], place[sample]]
    codebook = root(np.concatenate([chosen, mirrored(chosen)]))
    word = [
        (root(part["descriptor"][: part["n"]]) @ codebook.T).argmax(axis=1)
        for part in records
        if part["n"]
    ]
    column = np.concatenate([np.empty(0, dtype=np.intp), *word])
    shape = (len(records), max(len(codebook), 2))
    bags = sp.csr_matrix((np.ones(len(column), dtype=np.float32), (owner, column)), shape=shape)
    seen = np.bincount(bags.indices, minlength=shape[1])
    either = seen + np.roll(seen, shape[1] // 2)
    weight = np.log((2 * len(records) + 1) / (either + 1)).astype(np.float32)
    bags.data = np.sqrt(bags.data) * weight[bags.indices]
    length = np.sqrt(np.asarray(bags.multiply(bags).sum(axis=1)).ravel())
    return sp.diags_array(1 / np.maximum(length, 1e-9), dtype=np.float32).dot(bags).tocsr()


def near_by_appearance(bags: csr_matrix, family: Index, rows: Index, n: int) -> set[Pair]:
    """Pairs of images whose bags are nearest, families known already left out.

    Parameters
    ----------
    bags
        Of `visual_words`, `(m, words)`.
    family
        Number of each image's family `(m,)`; those of one family need no comparing.
    rows
        Images to find neighbours of.
    n
        Neighbours of each.

    Returns
    -------
    set of (a, b, mirrored)
        Positions, a < b, and whether b looks more like a when flipped.
    """
    import scipy.sparse as sp

    half = bags.shape[1] // 2
    flipped = sp.hstack([bags[:, half:], bags[:, :half]]).tocsr()
    found: set[Pair] = set()
    for part in _blocks(rows, bags.shape[0]):
        straight, turned = (bags[part] @ bags.T).toarray(), (bags[part] @ flipped.T).toarray()
        similarity = np.maximum(straight, turned)
        similarity[family[part][:, np.newaxis] == family] = -np.inf
        for i, row in enumerate(part):
            for j in _largest(similarity[i], n):
                a, b = sorted((int(row), int(j)))
                found.add((a, b, bool(turned[i, j] > straight[i, j])))
    return found


def near_by_embedding(
    embeddings: EmbeddingSet, threshold: float, *, n_candidates: int = 6
) -> pd.DataFrame:
    """Pairs of cells whose embeddings point the same way.

    Closeness in an embedding proves nothing, since other cells of the class are close as well: the
    pairs are candidates, to be settled on the pixels.

    Parameters
    ----------
    embeddings
        Embeddings of the cells; those of zero length are near nothing.
    threshold
        Least cosine similarity.
    n_candidates
        At most so many for each cell, the nearest.

    Returns
    -------
    DataFrame
        `cell_a, cell_b` (ids, in order) and `cosine`; sorted, no pair twice.
    """
    length = np.linalg.norm(embeddings.X, axis=1, keepdims=True)
    unit = embeddings.X / np.maximum(length, np.finfo(np.float32).tiny)
    ids = embeddings.cell_id
    found = {}
    for part in _blocks(np.arange(len(unit)), len(unit)):
        cosine = unit[part] @ unit.T
        cosine[np.arange(len(part)), part] = -np.inf
        for i, row in enumerate(part):
            for j in _largest(cosine[i], n_candidates):
                if cosine[i, j] >= threshold:
                    found[tuple(sorted((ids[row], ids[j])))] = float(cosine[i, j])
    table = [(*pair, cosine) for pair, cosine in sorted(found.items())]
    return pd.DataFrame(table, columns=["cell_a", "cell_b", "cosine"])


def _blocks(rows: Index, n_columns: int) -> list[Index]:
    """`rows` in parts whose similarities to all columns fit in bounded memory."""
    size = max(1, _BLOCK // max(n_columns, 1))
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _largest(similarity: Floats, n: int) -> Index:
    """Positions of the n largest finite entries of `(m,)`, in no order."""
    n = min(n, len(similarity))
    best = np.argpartition(-similarity, n - 1)[:n]
    return best[np.isfinite(similarity[best])]
