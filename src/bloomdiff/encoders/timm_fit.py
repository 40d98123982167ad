"""A checkpoint's weights, fitted to a timm network as timm fits those that it fetches."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from bloomdiff.encoders.checkpoints import State

_PATCHES = "patch_embed.proj.weight"


def fits(state: State, model: Any) -> bool:
    """Whether the names and shapes are the model's."""
    return _shapes(state) == _shapes(model.state_dict())


def fitted_state(state: State, model: Any) -> State:
    """The weights without classifier, by the filter that timm has for this kind of network.

    Positions are resampled for the model's grid, and older names brought up to date. What cannot
    be fitted stays, and strict loading tells of it.
    """
    state = _without_classifier(state, model)
    own, given = _shapes(model.state_dict()), _shapes(state)
    # timm resamples the patches' kernel as well, but one of other patches is another network.
    if given == own or (_PATCHES in own and given.get(_PATCHES) != own[_PATCHES]):
        return state
    for kind in type(model).__mro__:
        fit = getattr(sys.modules[kind.__module__], "checkpoint_filter_fn", None)
        if fit is not None:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)  # of torch, about timm's code
                    return dict(fit(dict(state), model))
            except Exception:  # it takes for granted that the weights are of this network
                break
    return state


def _shapes(state: State) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in state.items()}


def _without_classifier(state: State, model: Any) -> State:
    """The weights but for the classifier, which an encoder is built without."""
    classifier = model.pretrained_cfg.get("classifier") or ()
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    return {k: v for k, v in state.items() if k.rpartition(".")[0] not in heads}
