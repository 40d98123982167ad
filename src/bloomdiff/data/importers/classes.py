"""Which classes an import keeps, and under which names."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bloomdiff.data.manifest import PROBABILITY
from bloomdiff.data.records import Record
from bloomdiff.errors import InputError, ParameterError
from bloomdiff.registry import nearest

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClassRules:
    """Rules by the source's own class names; `rename` comes last.

    Attributes
    ----------
    keep
        Only these classes, and the cells without a label; all where empty.
    drop
        Not these.
    rename
        Old name to new name; two old names may share a new one.
    common
        Keep only what every source of the manifest has, by the shared vocabulary's names; of one
        source, all.
    """

    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    common: bool = False

    def apply(self, records: Iterator[Record]) -> Iterator[Record]:
        """Yield what is kept, renamed.

        Raises
        ------
        ParameterError
            After the last record: a name in the rules that no record has, most likely a slip.
        """
        seen: set[str] = set()
        told: set[str] = set()  # classes of a detector's probabilities
        for record in records:
            seen.add(record.label)
            told.update(record.proba or ())
            # Cells without a label belong to the pool, whatever classes are kept.
            unwanted = self.keep and record.label not in ("", *self.keep)
            if unwanted or record.label in self.drop:
                continue
            if self.rename:
                label, proba = self._name(record.label), self._merged(record.proba)
                record = replace(record, label=label, proba=proba)
            yield record
        for name in (*self.keep, *self.drop, *self.rename):
            known = seen | told if name in self.rename else seen
            if name not in known:
                raise ParameterError(
                    f"class {name!r}", "is not in the data", nearest(name, sorted(known - {""}))
                )

    def _name(self, label: str) -> str:
        return self.rename.get(label, label)

    def _merged(self, proba: Mapping[str, float] | None) -> Mapping[str, float] | None:
        """Probabilities by the new names: those of two old ones add up."""
        if proba is None:
            return None
        merged: dict[str, float] = {}
        for name, p in proba.items():
            merged[self._name(name)] = merged.get(self._name(name), 0.0) + p
        return merged

    def keep_common(self, cells: pd.DataFrame) -> pd.DataFrame:
        """Rename labels to the finest classes that every source has, and drop the other cells.

        The shared vocabulary says which codes mean the same, and which class contains which: a
        band neutrophil becomes a neutrophil where another source does not tell the two apart. A
        label that it does not know is common where every source has it by the same name. Cells
        without a label stay: they belong to the unlabelled pool. What is dropped is told, and of
        one source nothing is.

        Raises
        ------
        InputError
            The sources have no class in common.
        """
        from bloomdiff.data.vocabulary import coarsen, known_name, shared_classes

        labelled = cells[cells["label"] != ""]
        if labelled.empty:
            return cells
        have = {str(name): set(part) for name, part in labelled.groupby("source")["label"]}
        if len(have) == 1:
            shared = [known_name(label) or label for label in set(labelled["label"])]
        else:
            shared = shared_classes(have.values())
        if not shared:
            told = "; ".join(f"{name} has {', '.join(sorted(have[name]))}" for name in have)
            raise InputError("--common-classes", f"no class is shared ({told})", "use --map")
        names = {"": ""}
        for label in sorted(set(labelled["label"])):
            if (name := coarsen(label, shared)) is not None:
                names[label] = name
        dropped = labelled[~labelled["label"].isin(names)]
        for (source, label), part in dropped.groupby(["source", "label"]):
            logger.warning(
                "%s: %d cell(s) of class %r were left out: no common class contains it",
                *(source, len(part), label),
            )
        cells = cells[cells["label"].isin(names)].reset_index(drop=True)
        cells = cells.assign(label=[names[label] for label in cells["label"]])
        columns = [str(name) for name in cells.columns if str(name).startswith(PROBABILITY)]
        if not columns:
            return cells
        # A detector's probabilities of classes that become one add up; of others they stay.
        old = [name.removeprefix(PROBABILITY) for name in columns]
        ours = [PROBABILITY + (coarsen(name, shared) or name) for name in old]
        import pandas as pd

        # Where some cells have none, the columns came in as text.
        numbers = cells[columns].apply(pd.to_numeric, errors="coerce")
        proba = numbers.T.groupby(ours).sum(min_count=1).T
        return cells.drop(columns=columns).join(proba)
