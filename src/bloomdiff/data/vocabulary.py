"""One name for each cell class, whatever a data set calls it.

`to_vocabulary` reads the table in `cell_classes`; `common_classes` and `coarsen` bring data sets
to the classes that all of them can tell, so that a classifier trained on one is tested on another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from bloomdiff.data.cell_classes import LINEAGES, SOURCES, VOCABULARY, to_markdown
from bloomdiff.errors import ParameterError
from bloomdiff.registry import nearest

__all__ = [
    "LINEAGES",
    "SOURCES",
    "VOCABULARY",
    "class_of_code",
    "coarsen",
    "codes",
    "common_classes",
    "known_name",
    "lineage",
    "shared_classes",
    "to_markdown",
    "to_vocabulary",
]


_BETWEEN = re.compile(r"(?<=[^\W_])(?:[^\w+?]|_)+(?=[^\W_])")
_AROUND = re.compile(r"^(?:[^\w+?-]|_)+|(?:[^\w+?-]|_)+$")


def _plain(text: str) -> str:
    """Lower case, with whatever only separates words as one underscore.

    What tells classes apart stays: blast+, blast- and "blast?" are three names, none of them blast.
    """
    return _AROUND.sub("", _BETWEEN.sub("_", text.casefold()))


@cache
def _names(source: str) -> dict[str, str]:
    """Plain code to name, for one source."""
    if source not in SOURCES:
        raise ParameterError(f"source {source!r}", "unknown name", nearest(source, list(SOURCES)))
    return {
        _plain(code): cell.name
        for cell in VOCABULARY.values()
        for code in cell.codes.get(source, ())
    }


@cache
def _any_source() -> dict[str, str]:
    """Plain code of any source, or plain name, to name; a test asserts that no two disagree."""
    codes = {code: name for source in SOURCES for code, name in _names(source).items()}
    return codes | {_plain(name): name for name in VOCABULARY}


def codes(source: str) -> list[str]:
    """Every code of a source in the table's order."""
    _names(source)
    return [code for cell in VOCABULARY.values() for code in cell.codes.get(source, ())]


def class_of_code(source: str, code: str) -> str | None:
    """Name of a source's class by its code alone; None where the source has no such code."""
    return _names(source).get(_plain(code))


def to_vocabulary(source: str, code: str) -> str:
    """Name of a source's class in the vocabulary.

    Parameters
    ----------
    source
        One of `SOURCES`.
    code
        Code, folder name or file-name prefix of the class there, in any case; a name of the
        vocabulary that the source has is taken as well.

    Raises
    ------
    ParameterError
        The source or the code is unknown.
    """
    if name := class_of_code(source, code):
        return name
    if _plain(code) in _names(source).values():
        return _plain(code)
    raise ParameterError(
        f"class {code!r} of {source}", "unknown code", nearest(code, codes(source))
    )


def known_name(label: str) -> str | None:
    """Name in the vocabulary of a class name or of any source's code; None where it is neither."""
    return _any_source().get(_plain(label))


def lineage(label: str) -> str:
    """Lineage (one of `LINEAGES`) of a vocabulary name or of any source's code.

    '' for a label that the vocabulary does not know, such as a laboratory's own: it has no parent.
    """
    name = known_name(label)
    return VOCABULARY[name].lineage if name else ""


def _and_broader(name: str) -> list[str]:
    """The class and those that contain it, narrowest first."""
    chain = [name]
    while chain[-1] in VOCABULARY and (broader := VOCABULARY[chain[-1]].broader):
        chain.append(broader)
    return chain


def common_classes(sources: Iterable[str]) -> list[str]:
    """The finest classes that every one of the sources can tell, in the table's order.

    Parameters
    ----------
    sources
        At least one of `SOURCES`.
    """
    return shared_classes(_names(source).values() for source in sources)


def shared_classes(labels: Iterable[Iterable[str]]) -> list[str]:
    """The finest classes to which every set of labels can be brought, in the table's order.

    Who tells band from segmented neutrophils can tell neutrophils as well; where a class and one
    that it contains are both shared, the narrower one is kept. A label that the vocabulary does not
    know is shared where every source has it by the same name; such labels come last, sorted.

    Parameters
    ----------
    labels
        One collection a source: the labels that occur there.
    """
    told = [
        {broad for label in some for broad in _and_broader(known_name(label) or label)}
        for some in labels
    ]
    if not told:
        raise ParameterError("common classes", "no source is named", "name two or more")
    shared = set.intersection(*told)
    contains_another = {broad for name in shared for broad in _and_broader(name)[1:]}
    finest = shared - contains_another
    return [name for name in VOCABULARY if name in finest] + sorted(finest - VOCABULARY.keys())


def coarsen(label: str, classes: Iterable[str]) -> str | None:
    """The one of `classes` that is the label's class or contains it; None where none does.

    A label that the vocabulary does not know is a class of its own.

    Relabels a manifest to `shared_classes`: cells that become None are left out.
    """
    wanted = set(classes)
    chain = _and_broader(known_name(label) or label)
    return next((name for name in chain if name in wanted), None)
