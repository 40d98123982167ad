"""Whether a synthetic set keeps the distribution of known morphological parameters.

A regressor learns the parameters (diameter, nucleus-to-cytoplasm ratio, granules ...) from training
embeddings and reads them off held-out and off synthetic ones. Both go through the same regressor,
so that its shrinkage is on both sides; what it cannot read is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bloomdiff.errors import InputError
from bloomdiff.metrics.base import OVERALL, Record, number
from bloomdiff.metrics.points import Doubles, ZScore, as_points, same_dimension

READABLE = 0.3  # least R² on held-out cells for a parameter to be judged
_MINIMUM = 10  # rows of each kind within a class

Labels = npt.NDArray[np.str_]


def morphology_errors(
    synthetic: npt.NDArray[Any],
    train: npt.NDArray[Any],
    test: npt.NDArray[Any],
    *,
    train_parameters: npt.NDArray[Any],
    test_parameters: npt.NDArray[Any],
    names: Sequence[str],
    y_synthetic: Labels | None = None,
    y_train: Labels | None = None,
    y_test: Labels | None = None,
) -> list[Record]:
    """Distance between the recovered parameters of synthetic and of held-out cells.

    Parameters
    ----------
    synthetic, train, test
        Embeddings `(n, d)`, `(m, d)`, `(t, d)`; synthetic rows in the training proportions.
    train_parameters, test_parameters
        The true parameters `(m, p)` and `(t, p)`.
    names
        Of the parameters `(p,)`.
    y_synthetic, y_train, y_test
        Class names; without them there is no record within a class.

    Returns
    -------
    list of dict
        `parameter`, `scope` (`OVERALL` or a class), `r2` (of the regressor on all held-out cells),
        `error` (1-Wasserstein distance of synthetic to held-out recovered values, over the
        deviation of the latter among all classes), `floor` (the same of training cells, each read
        by a model without it), `mean_shift` (in the same unit) and `note`. `error` is None where
        `r2` is below 0.3, and within a class of fewer than 10 rows.

    Raises
    ------
    InputError
        Rows of different dimensions, or a value that is not finite.

    References
    ----------
    Hoerl and Kennard (1970), Ridge regression: biased estimation for nonorthogonal problems.
    """
    a, b = as_points(train, "training", minimum=10), as_points(test, "test", minimum=2)
    c = as_points(synthetic, "synthetic", minimum=2)
    same_dimension(b, a, "test")
    same_dimension(c, a, "synthetic")
    targets = as_points(train_parameters, "training parameters")
    truth = as_points(test_parameters, "test parameters")
    for points, parameters, name in ((a, targets, "training"), (b, truth, "test")):
        if parameters.shape != (len(points), len(names)):
            raise InputError(
                f"{name} parameters",
                f"have the shape {parameters.shape}, not {(len(points), len(names))}",
                "give one row a cell and one column a name",
            )
    of_train, of_test, of_synthetic = _recover(a, targets, (b, c))
    scopes: dict[str, tuple[Any, Any, Any]] = {OVERALL: (slice(None),) * 3}
    if y_synthetic is not None and y_train is not None and y_test is not None:
        for one in np.unique(y_test).tolist():
            scopes[one] = (y_train == one, y_test == one, y_synthetic == one)
    records: list[Record] = []
    for column, name in enumerate(names):
        spread = float(((truth[:, column] - truth[:, column].mean()) ** 2).sum())
        residual = float(((truth[:, column] - of_test[:, column]) ** 2).sum())
        r2 = 1 - residual / spread if spread > 0 else float("nan")
        unit = float(of_test[:, column].std())
        for scope, (in_train, in_test, in_synthetic) in scopes.items():
            record: Record = {"parameter": name, "scope": scope, "r2": number(r2)}
            record.update(error=None, floor=None, mean_shift=None, note="")
            if r2 >= READABLE:
                values = (
                    of_test[in_test, column],
                    of_train[in_train, column],
                    of_synthetic[in_synthetic, column],
                )
                record.update(_compare(*values, unit, 2 if scope == OVERALL else _MINIMUM))
            else:
                record["note"] = f"not readable from embeddings: needs an R² of {READABLE}"
            records.append(record)
    return records


def _compare(real: Doubles, seen: Doubles, fake: Doubles, unit: float, minimum: int) -> Record:
    """Error, floor and shift of one parameter in one scope."""
    from scipy.stats import wasserstein_distance

    for side, rows in (("held-out", real), ("training", seen), ("synthetic", fake)):
        if len(rows) < minimum:
            return {"note": f"too few: needs {minimum} {side} rows, has {len(rows)}"}
    return {
        "error": float(wasserstein_distance(real, fake)) / unit,
        "floor": float(wasserstein_distance(real, seen)) / unit,
        "mean_shift": float(fake.mean() - real.mean()) / unit,
    }


def _recover(train: Doubles, targets: Doubles, others: tuple[Doubles, ...]) -> list[Doubles]:
    """Parameters read off the training rows (each by a model without it) and off `others`."""
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import KFold, cross_val_predict

    scale = ZScore.of(train)
    points = scale(train)
    penalties = np.logspace(0, 5, 11)
    model = RidgeCV(alphas=penalties, alpha_per_target=True)
    # Rows come class by class: parts in their order would leave whole classes out of the model.
    parts = KFold(5, shuffle=True, random_state=0)
    without = np.asarray(cross_val_predict(model, points, targets, cv=parts))
    without = without.reshape(targets.shape)
    model.fit(points, targets)
    return [without, *(model.predict(scale(rows)).reshape(len(rows), -1) for rows in others)]
