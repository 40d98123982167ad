"""The model as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from bloomdiff.artifacts import AnyPath
from bloomdiff.columns import check_numbers
from bloomdiff.diffusion.class_labels import parents_of, places_of
from bloomdiff.diffusion.config import DiffusionConfig, Divergence
from bloomdiff.diffusion.model import ClassDiffusion, ClassifierKind
from bloomdiff.diffusion.saved import read_estimator, write_estimator
from bloomdiff.diffusion.temperature import held_out_temperature
from bloomdiff.diffusion.whitening import Doubles, Floats

Frequencies = Literal["equal", "training"]
_DEFAULT = DiffusionConfig()
_FITTED = ("classes_", "temperature_", "model_")
PARAMETERS = (
    "n_components",
    "shrinkage",
    "n_steps",
    "guidance",
    "nuisance_scale",
    "pool_trust",
)
"""Hyper-parameters of the model that are parameters of their own; the others are in `config`."""


class EmbeddingDiffusion(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Class-conditional diffusion of vectors: fit on few rows, sample more.

    Parameters
    ----------
    n_components, shrinkage, n_steps, guidance, nuisance_scale, pool_trust
        As in `DiffusionConfig`.
    config
        Everything of `DiffusionConfig` that is no parameter here; None for its defaults. One of
        the parameters that has another value here than there is an error.
    parents
        Parent of each class, by class: where siblings are seen to lie together, a rare class is
        drawn towards its own. None for no parents; a class whose own is None, '' or a missing value
        has none. May name classes that a fold lacks, where it names all that the fold has.
    classifier
        What `predict_proba` applies Bayes' rule to. "prior": the predictive Gaussians of the model
        before the network, in the directions in which the classes differ. "flow": the same times
        what the network's probability flow makes a row likelier. "denoising": the same with the
        network's denoising errors at noise shared by all classes (Li et al. 2023,
        arXiv:2303.16203).
    random_state
        Seed, or numpy's legacy generator, or None.
    device
        "cpu", "cuda" or "auto".

    Attributes
    ----------
    classes_
        Sorted class labels `(c,)`.
    n_features_in_
        Dimension d.
    temperature_
        Divisor of the log-likelihoods in `predict_proba`, found on rows held out.
    model_
        The fitted `ClassDiffusion`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(60, 8)).astype("float32")
    >>> y = np.repeat(["blast", "lymphocyte"], [50, 10])
    >>> model = EmbeddingDiffusion(n_steps=0, random_state=0).fit(X, y)
    >>> model.sample(["blast", "lymphocyte", "lymphocyte"], random_state=1).shape
    (3, 8)
    """

    def __init__(
        self,
        *,
        n_components: int | None = _DEFAULT.n_components,
        shrinkage: float | None = _DEFAULT.shrinkage,
        n_steps: int = _DEFAULT.n_steps,
        guidance: float = _DEFAULT.guidance,
        nuisance_scale: float = _DEFAULT.nuisance_scale,
        pool_trust: float = _DEFAULT.pool_trust,
        config: DiffusionConfig | None = None,
        parents: Mapping[Any, Any] | None = None,
        classifier: ClassifierKind = "prior",
        random_state: int | np.random.RandomState | None = None,
        device: str = "cpu",
    ) -> None:
        self.n_components = n_components
        self.shrinkage = shrinkage
        self.n_steps = n_steps
        self.guidance = guidance
        self.nuisance_scale = nuisance_scale
        self.pool_trust = pool_trust
        self.config = config
        self.parents = parents
        self.classifier = classifier
        self.random_state = random_state
        self.device = device

    def fit(self, X: Any, y: Any, X_unlabelled: Any = None) -> Self:
        """Learn from rows `(n, d)` of classes `(n,)` and, if given, rows without labels `(m, d)`.

        Raises
        ------
        ValueError
            Rows that are not finite, labels that are not classes, hyper-parameters out of their
            range or given twice, or a parent of a class that there is none of.
        ParameterError
            A parent that is neither text nor missing.
        InputError
            A frame's column of something else than numbers.
        """
        for name in _FITTED:  # a fit that fails leaves no mixture of two
            self.__dict__.pop(name, None)
        check_numbers(X, X_unlabelled)
        X, y = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(y)
        classes, index = np.unique(y, return_inverse=True)
        pool = None
        if X_unlabelled is not None:
            pool = validate_data(
                self, X_unlabelled, dtype=np.float32, reset=False, ensure_min_samples=0
            )
        model, parents = self._model(), parents_of(classes, self.parents)
        temperature = held_out_temperature(
            X, index, lambda rows, labels: model.learn_prior(rows, labels, pool, parents)
        )
        seed = _seed(self.random_state)
        self.model_ = model.fit(X, index, seed=seed, pool=pool, parents=parents)
        self.classes_, self.temperature_ = classes, temperature
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return all(hasattr(self, name) for name in _FITTED)

    def sample(self, y: Any, random_state: int | np.random.RandomState | None = None) -> Floats:
        """Draw one row per entry of `y`, float32 `(n, d)`.

        Raises
        ------
        ValueError
            A class that was not fitted, or a number of rows in place of their classes `(n,)`.
        """
        check_is_fitted(self)
        index = places_of(y, self.classes_)
        out = np.empty((len(index), self.n_features_in_), dtype=np.float32)
        seed = _seed(random_state)
        for i in np.unique(index):
            rows = np.flatnonzero(index == i)
            out[rows] = self.model_.sample(int(i), len(rows), np.random.default_rng([seed, i]))
        return out

    def score_samples(
        self,
        X: Any,
        y: Any = None,
        *,
        frequencies: Frequencies = "equal",
        divergence: Divergence = "auto",
    ) -> Doubles:
        """Log-likelihood of rows by the probability flow, nats, float64 `(n,)` (Song et al. 2021).

        The density is that of the data as learned, with the uncertainty of the class centres, and
        without guidance and `nuisance_scale`, which take samples away from the data.

        Parameters
        ----------
        X
            Rows `(n, d)`.
        y
            Class of each row `(n,)`; None for the mixture of all classes.
        frequencies
            Weights of the classes in the mixture: "equal", or as in "training" (a pool counts).
        divergence
            How the flow's divergence is taken: "exact", "hutchinson" (estimated along random
            signs), or "auto": exact up to 64 diffused dimensions.

        Raises
        ------
        ValueError
            A class that was not fitted, or not one class a row.
        InputError
            A frame's column of something else than numbers.
        """
        check_is_fitted(self)
        check_numbers(X)
        X = validate_data(self, X, dtype=np.float32, reset=False)
        _one_of(Frequencies, frequencies)
        _one_of(Divergence, divergence)
        if y is None:
            count = self.model_.prior.whitening.rows
            weight = count if frequencies == "training" else np.ones(len(count))
            each = range(len(count))
            nats = [self.model_.log_likelihood(X, i, divergence=divergence) for i in each]
            share = np.log(weight / weight.sum())
            return np.asarray(logsumexp(np.stack(nats, axis=1) + share, axis=1))
        index = places_of(y, self.classes_)
        check_consistent_length(X, index)
        out = np.empty(len(X))
        for i in np.unique(index):
            rows = np.flatnonzero(index == i)
            out[rows] = self.model_.log_likelihood(X[rows], int(i), divergence=divergence)
        return out

    def predict_proba(self, X: Any) -> Doubles:
        """Class probabilities under equal frequencies, `(n, c)`, by Bayes' rule (`classifier`).

        Raises
        ------
        InputError
            A frame's column of something else than numbers.
        """
        check_is_fitted(self)
        check_numbers(X)
        _one_of(ClassifierKind, self.classifier)
        X = validate_data(self, X, dtype=np.float32, reset=False)
        scores = self.model_.class_scores(X, self.classifier)
        return np.asarray(softmax(scores / self.temperature_, axis=1))

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the likeliest class of each row, `(n,)`."""
        likeliest = self.predict_proba(X).argmax(axis=1)
        return self.classes_[likeliest]

    def save(self, path: AnyPath) -> None:
        """Write the fitted model to the folder `path` (safetensors and JSON), atomically.

        A `random_state` that is a generator of random numbers is not kept.

        Raises
        ------
        ValueError
            Class labels other than text, numbers and truth values.
        ParameterError
            A parent, given after the fit, that is neither text nor missing.
        """
        check_is_fitted(self)
        write_estimator(path, self)

    @classmethod
    def load(cls, path: AnyPath, *, device: str = "cpu") -> Self:
        """Read a folder written by `save`.

        Raises
        ------
        InputError
            No such folder, or it holds something else.
        IntegrityError
            The state is missing or not what was written.
        """
        params, fitted, config, state = read_estimator(path)
        self = cls(**params | {"device": device})
        for name, value in fitted.items():
            setattr(self, name, value)
        self.model_ = ClassDiffusion(config, device=device).restore(state)
        return self

    def _model(self) -> ClassDiffusion:
        own = {name: getattr(self, name) for name in PARAMETERS}
        config = _DEFAULT if self.config is None else self.config
        if not isinstance(config, DiffusionConfig):
            raise ValueError(f"config: {config!r} is no DiffusionConfig")
        for name, value in own.items():
            told = getattr(config, name)
            if told not in (value, getattr(_DEFAULT, name)):
                raise ValueError(
                    f"{name}: {told!r} in config and {value!r} as the parameter that it is; give"
                    f" {name}={told!r} and leave it out of config"
                )
        return ClassDiffusion(replace(config, **own), device=self.device)


def _one_of(kind: Any, value: str) -> None:
    if value not in get_args(kind):
        raise ValueError(f"{value!r} is none of {', '.join(map(repr, get_args(kind)))}")


def _seed(random_state: int | np.random.RandomState | None) -> int:
    return int(check_random_state(random_state).randint(2**31 - 1))
