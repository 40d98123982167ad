"""PyYAML's safe loader and dumper with the numbers of YAML 1.2, which DVC reads: `1e-3` is one."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

# YAML 1.1 wants a point and a sign in the exponent as well, and takes the rest for text.
_FLOAT = re.compile(r"[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+$")


@cache
def loader(*, exponents: bool = True) -> Any:
    """The safe loader, in C where there is one: a tenth of the time."""
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return _with_floats(base) if exponents else base


@cache
def dumper() -> Any:
    """The safe dumper, which quotes text that `loader` would take for a number."""
    import yaml

    return _with_floats(yaml.SafeDumper)


def _with_floats(base: Any) -> Any:
    own: Any = type(base.__name__, (base,), {})  # the library's own class stays as it is
    own.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789"))
    return own
