"""Search spaces: each is declared beside its generator or classifier; here they are read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

Space = Callable[[Any], Any]


class _Rest:
    """A trial that suggests nothing where a value is given: that value stands."""

    def __init__(self, trial: Any, given: Mapping[str, Any]) -> None:
        self._trial, self._given = trial, given

    def __getattr__(self, method: str) -> Callable[..., Any]:
        suggest = getattr(self._trial, method)

        def or_given(name: str, *args: Any, **kwargs: Any) -> Any:
            return self._given[name] if name in self._given else suggest(name, *args, **kwargs)

        return or_given


def rest_of(space: Space, given: Mapping[str, Any]) -> Space:
    """`space` less the hyper-parameters that are given, which it returns as they are."""
    return lambda trial: space(_Rest(trial, given))


def distributions(space: Space) -> dict[str, Any]:
    """Optuna's distribution of every hyper-parameter that `space` suggests."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    probe = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    space(probe)
    return dict(probe.distributions)


def space_digest(space: Space | None) -> str:
    """SHA-256 of the distributions that `space` suggests from; empty for None."""
    import optuna

    if space is None:
        return ""
    found = {
        name: optuna.distributions.distribution_to_json(distribution)
        for name, distribution in distributions(space).items()
    }
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def space_table(spaces: dict[str, Space]) -> list[tuple[str, str, str]]:
    """Spell search spaces for reading: owner, hyper-parameter, range.

    Parameters
    ----------
    spaces
        Name of a generator or classifier to its `search_space`.
    """
    return [
        (owner, name, spell(distribution))
        for owner, space in spaces.items()
        for name, distribution in distributions(space).items()
    ]


def spell(distribution: Any) -> str:
    """One distribution for reading: "8 | 16 | 32", "0.1 to 10, log"."""
    if hasattr(distribution, "choices"):
        return " | ".join(map(str, distribution.choices))
    step = f", step {distribution.step:g}" if distribution.step not in (None, 1) else ""
    log = ", log" if distribution.log else ""
    return f"{distribution.low:g} to {distribution.high:g}{log}{step}"
