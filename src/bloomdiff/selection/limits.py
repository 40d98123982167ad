"""Budgets and caps: how many cells, fields and minutes a queue may ask for, and from where."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field


class Limits(BaseModel):
    """What bounds a queue; an unknown key is an error.

    Attributes
    ----------
    objects
        Cells in the queue.
    fields
        Distinct fields of view to open.
    minutes
        Of the expert: `minutes_per_object` for each cell and `minutes_per_field` for each field
        that is opened (a cell without a field opens nothing).
    per_field, per_slide, per_patient
        Cells from one field, slide (the manifest's `group`) and patient (its column `patient`).
    per_class
        Largest share that one predicted class may have, in (0, 1], of the longest queue that the
        other limits allow of the pool; see `longest`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    objects: int = Field(default=100, ge=1)
    fields: int | None = Field(default=None, ge=1)
    minutes: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    minutes_per_object: float = Field(default=0.25, ge=0, allow_inf_nan=False)
    minutes_per_field: float = Field(default=0.5, ge=0, allow_inf_nan=False)
    per_field: int | None = Field(default=None, ge=1)
    per_slide: int | None = Field(default=None, ge=1)
    per_patient: int | None = Field(default=None, ge=1)
    per_class: float | None = Field(default=None, gt=0, le=1)

    def longest(self, place: pd.DataFrame) -> int:
        """Cells that a queue can hold at most, if it opens the most fruitful fields first.

        Exact where a field is of one slide, and a slide of one patient.

        Parameters
        ----------
        place
            `field, slide, patient` of each cell of the pool; '' where there is none.
        """
        free, gains = self._yields(place)
        opened = np.arange(len(gains) + 1)
        cells = free + np.concatenate([[0], np.cumsum(gains)])
        if self.fields is not None:
            opened, cells = opened[: self.fields + 1], cells[: self.fields + 1]
        if self.minutes is not None:
            left = self.minutes - self.minutes_per_field * opened + 1e-9
            cells, left = cells[left >= 0], left[left >= 0]
            if self.minutes_per_object:
                cells = np.minimum(cells, left // self.minutes_per_object)
        return min(self.objects, int(cells.max()))

    def _yields(self, place: pd.DataFrame) -> tuple[int, list[int]]:
        """Cells that open no field, and what each field adds to them, the largest first."""
        sizes = Counter(zip(place["patient"], place["slide"], place["field"], strict=True))
        slides: defaultdict[tuple[str, str], _Yield] = defaultdict(_Yield)
        for (patient, slide, name), size in sizes.items():
            if name:
                most = size if self.per_field is None else min(size, self.per_field)
                slides[patient, slide].gains.append(most)
            else:
                slides[patient, slide].free += size
        patients: defaultdict[str, _Yield] = defaultdict(_Yield)
        for (patient, slide), own in slides.items():
            patients[patient].add(own.capped(self.per_slide if slide else None))
        every = _Yield()
        for patient, own in patients.items():
            every.add(own.capped(self.per_patient if patient else None))
        return every.free, sorted(every.gains, reverse=True)


@dataclass
class _Yield:
    """Cells of a slide or patient that open no field, and what each of its fields would add."""

    free: int = 0
    gains: list[int] = field(default_factory=list)

    def add(self, other: _Yield) -> None:
        self.free += other.free
        self.gains += other.gains

    def capped(self, cap: int | None) -> _Yield:
        """With so many cells in all at most, if the largest fields are opened first."""
        if cap is None:
            return self
        found = _Yield(min(self.free, cap))
        left = cap - found.free
        for gain in sorted(self.gains, reverse=True):
            found.gains.append(min(gain, left))
            left -= found.gains[-1]
        return found


@dataclass
class Gate:
    """Lets cells into a queue as long as every limit holds.

    Attributes
    ----------
    limits
        The limits.
    longest
        Cells that the queue can hold at most: `per_class` is a share of these.
    count, seen
        Cells let in, and how many of each field, slide, patient and predicted class.
    """

    limits: Limits
    longest: int
    count: int = 0
    seen: dict[str, Counter[str]] = field(
        default_factory=lambda: {k: Counter() for k in ("field", "slide", "patient", "class")}
    )

    @property
    def minutes(self) -> float:
        """Expert's time that the queue takes so far."""
        per_field = self.limits.minutes_per_field * len(self.seen["field"])
        return self.count * self.limits.minutes_per_object + per_field

    @property
    def is_full(self) -> bool:
        """Whether no cell at all can be let in, whatever it is."""
        limits = self.limits
        left = None if limits.minutes is None else limits.minutes - self.minutes
        return self.count >= limits.objects or (
            left is not None and left < limits.minutes_per_object - 1e-9
        )

    def admits(self, place: dict[str, str]) -> bool:
        """Whether a cell of this field, slide, patient and predicted class may come in.

        An empty name is none: it has no cap.
        """
        seen = self.seen
        opens = bool(place["field"]) and place["field"] not in seen["field"]
        within = all(
            not place[what] or seen[what][place[what]] < cap for what, cap in self._caps.items()
        )
        return within and not self.is_full and (self._may_open or not opens)

    def shuts_out(self, place: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Which cells can never come in any more `(n,)`: what a queue holds, it keeps.

        Parameters
        ----------
        place
            Some of `field, slide, patient, class` of each cell; '' where there is none.
        """
        out = np.zeros(len(place), dtype=bool)
        for what in place:
            if names := self.exhausted(str(what)):
                out |= place[what].isin(names).to_numpy()
        if not self._may_open:
            out |= ~place["field"].isin(["", *self.seen["field"]]).to_numpy()
        return out

    def exhausted(self, what: str) -> list[str]:
        """Fields, slides, patients or classes of which no cell more may come in."""
        cap = self._caps.get(what)
        return [] if cap is None else [n for n, count in self.seen[what].items() if count >= cap]

    @property
    def _caps(self) -> dict[str, int]:
        """Cells that may come from one field, slide, patient and predicted class."""
        limits, share = self.limits, self.limits.per_class
        caps = {
            "field": limits.per_field,
            "slide": limits.per_slide,
            "patient": limits.per_patient,
            # A share of 0.29 of 100 is 29, whatever its product is in binary. At least one cell
            # of each class, or a small queue could not begin.
            "class": None if share is None else max(1, int(share * self.longest + 1e-9)),
        }
        return {what: cap for what, cap in caps.items() if cap is not None}

    @property
    def _may_open(self) -> bool:
        """Whether a cell that opens a field may come in."""
        limits = self.limits
        cost = limits.minutes_per_object + limits.minutes_per_field
        return (limits.fields is None or len(self.seen["field"]) < limits.fields) and (
            limits.minutes is None or self.minutes + cost <= limits.minutes + 1e-9
        )

    def take(self, place: dict[str, str]) -> None:
        """Count a cell that came in."""
        self.count += 1
        for what, counter in self.seen.items():
            if place[what]:
                counter[place[what]] += 1

    def told(self) -> dict[str, Any]:
        """Count of cells and fields, and minutes, for a header."""
        return {
            "objects": self.count,
            "fields": len(self.seen["field"]),
            "minutes": round(self.minutes, 2),
        }
