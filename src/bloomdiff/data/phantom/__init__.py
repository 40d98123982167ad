"""A digital phantom of a stained blood smear: cells of a known distribution, drawn from a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bloomdiff.data.phantom.params import PhantomParams

if TYPE_CHECKING:
    from bloomdiff.data.phantom.write import write_phantom

__all__ = ["PhantomParams", "write_phantom"]


def __getattr__(name: str) -> Any:
    # Drawing brings SciPy and pandas; reading the parameters should not wait for them.
    if name == "write_phantom":
        from bloomdiff.data.phantom.write import write_phantom

        return write_phantom
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
