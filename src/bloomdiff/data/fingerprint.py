"""The leak guard: what was fitted on which cell groups, and a refusal to judge it on the same.

Every artefact that learned from cells carries a `Fingerprint`: the set of *groups* (patient,
slide, or family of duplicate images) that it saw. Names are hashed to 64 bits so that the
fingerprint of an archive stays small and carries no patient identifiers; the evaluator, who holds
the names of the test groups, can still say which of them overlap.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from bloomdiff.errors import IntegrityError, LeakageError


def hash_group(group: str) -> str:
    """64-bit BLAKE2b of a group's name, as 16 hexadecimal digits."""
    return hashlib.blake2b(group.encode("utf-8"), digest_size=8).hexdigest()


def _names(groups: Iterable[str]) -> set[str]:
    """Different names; a single one in place of several would be taken letter by letter."""
    if isinstance(groups, str):
        raise TypeError(f"groups must be several names, however: {groups!r}")
    return set(groups)


@dataclass(frozen=True)
class Fingerprint:
    """The set of cell groups that something was fitted on.

    Attributes
    ----------
    hashes
        Hashed names of the groups.
    """

    hashes: frozenset[str]

    @classmethod
    def of(cls, groups: Iterable[str]) -> Fingerprint:
        """Fingerprint of the groups with these names (repeats count once)."""
        names = _names(groups)
        if "" in names:
            raise ValueError("a cell without a group cannot be fingerprinted")
        return cls(frozenset(hash_group(str(name)) for name in names))

    @classmethod
    def empty(cls) -> Fingerprint:
        """Fingerprint of something that saw no cell, such as a frozen foreign encoder."""
        return cls(frozenset())

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the sorted hashes: equal sets, equal digests."""
        return hashlib.sha256("\n".join(sorted(self.hashes)).encode()).hexdigest()

    def __or__(self, other: Fingerprint) -> Fingerprint:
        return Fingerprint(self.hashes | other.hashes)

    def overlap(self, groups: Iterable[str]) -> list[str]:
        """Names among `groups` that this fingerprint contains, sorted."""
        return sorted(name for name in _names(groups) if hash_group(str(name)) in self.hashes)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: the digest, and the sorted hashes."""
        return {"digest": self.digest, "groups": sorted(self.hashes)}

    @classmethod
    def from_dict(cls, value: dict[str, Any], *, where: str = "fingerprint") -> Fingerprint:
        """Rebuild from `to_dict`; a digest that does not match is an `IntegrityError`."""
        fingerprint = cls(frozenset(value["groups"]))
        if fingerprint.digest != value["digest"]:
            raise IntegrityError(
                where, "the fingerprint does not match its digest", "run the stage that wrote it"
            )
        return fingerprint


class Fitted(Protocol):
    """Anything that learned from cells and says from which."""

    @property
    def fingerprint(self) -> Fingerprint:
        """Groups that were fitted on."""
        ...


def assert_disjoint(
    test_groups: Iterable[str], *artefacts: Fitted | Fingerprint, what: str = "artefact"
) -> None:
    """Raise `LeakageError` if any artefact was fitted on a group that is about to be tested.

    A test row without a group is refused as well.

    Parameters
    ----------
    test_groups
        Names of the groups of the test rows.
    artefacts
        Fingerprints, or fitted things that carry one.
    what
        What the artefacts are, for the message.
    """
    names = _names(test_groups)
    if "" in names:
        raise LeakageError(
            what,
            "cannot be judged on a cell without a group: nobody knows whether it was fitted on",
            "give every cell a group: its patient, its slide or its own id",
        )
    for artefact in artefacts:
        fingerprint = artefact if isinstance(artefact, Fingerprint) else artefact.fingerprint
        shared = fingerprint.overlap(names)
        if shared:
            some = ", ".join(shared[:5]) + (", ..." if len(shared) > 5 else "")
            raise LeakageError(
                what,
                f"was fitted on {len(shared)} of the {len(names)} groups under test ({some})",
                "fit it on the training fold alone",
            )
