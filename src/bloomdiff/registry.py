"""One registry pattern for encoders, generators, classifiers, metrics and strategies."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from bloomdiff.errors import ParameterError

T = TypeVar("T")


def nearest(name: str, valid: list[str]) -> str:
    """A hint for an unknown name: the closest valid one first, then all of them."""
    close = difflib.get_close_matches(name, valid, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}valid: {', '.join(valid)}"


class Registry(Generic[T]):
    """Names to things, filled by a decorator; an unknown name is told with its nearest neighbour.

    Parameters
    ----------
    noun
        What is registered, for messages ("generator").
    """

    def __init__(self, noun: str) -> None:
        self.noun = noun
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that files its argument under `name`; a taken name raises."""

        def add(thing: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self.noun} {name!r} is registered twice")
            self._entries[name] = thing
            return thing

        return add

    def __getitem__(self, name: str) -> T:
        try:
            return self._entries[name]
        except KeyError:
            raise ParameterError(
                f"{self.noun} {name!r}", "unknown name", nearest(name, self.names())
            ) from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def names(self) -> list[str]:
        """Every registered name, sorted."""
        return sorted(self._entries)
