"""Two dimensions to look at, fitted on real training cells alone; all others are transformed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]

_COMPONENTS = 50  # of the principal components that t-SNE works on, as its authors advise
_PERPLEXITY = 30
_FEWEST = 16  # training cells below which t-SNE says nothing


def project_all(
    train: Floats, others: Mapping[str, Floats], *, seed: int
) -> dict[str, dict[str, Doubles]]:
    """Places of all cells in each projection.

    Parameters
    ----------
    train
        Real training cells, `(n, d)`: the only ones that a projection is fitted on.
    others
        Name to cells `(m, d)` that are placed afterwards, each on its own: a cell's place does not
        depend on the other cells of its set.
    seed
        Of t-SNE's optimisation of new points; it starts from principal components.

    Returns
    -------
    dict
        Name of the projection ("PCA", and "t-SNE" from 16 training cells) to the places `(n, 2)`
        of each of `others` and of "train".

    References
    ----------
    van der Maaten and Hinton (2008), Visualizing data using t-SNE; Poličar, Stražar and Zupan
    (2023), Embedding to reference t-SNE space addresses batch effects in single-cell
    classification, for the placing of new points.
    """
    from sklearn.decomposition import PCA

    n_components = min(_COMPONENTS, *train.shape)
    pca = PCA(n_components, svd_solver="full").fit(train)
    low = {
        name: _wide(pca.transform(X) if len(X) else X[:, :n_components])
        for name, X in {"train": train, **others}.items()
    }
    found = {"PCA": {name: points[:, :2] for name, points in low.items()}}
    if len(train) >= _FEWEST:
        found["t-SNE"] = _tsne(low, seed)
    return found


def _wide(points: npt.NDArray) -> Doubles:
    """At least two columns."""
    missing = max(0, 2 - points.shape[1])
    return np.pad(points.astype(np.float64), ((0, 0), (0, missing)))


def _tsne(low: Mapping[str, Doubles], seed: int) -> dict[str, Doubles]:
    from openTSNE import TSNE

    train = low["train"]
    # Its own start from principal components adds random jitter outside of its random state.
    start = train[:, :2] / max(float(train[:, 0].std()), 1e-12) * 1e-4
    fitted = TSNE(
        perplexity=min(_PERPLEXITY, (len(train) - 1) / 3),
        initialization=start,
        early_exaggeration_iter=200,
        n_iter=400,
        neighbors="exact",
        negative_gradient_method="bh",
        n_jobs=1,
        random_state=seed,
    ).fit(train)
    places = {"train": np.asarray(fitted, dtype=np.float64)}
    for name, points in low.items():
        if name != "train":
            places[name] = (
                np.asarray(fitted.transform(points), dtype=np.float64)
                if len(points)
                else np.empty((0, 2))
            )
    return places
