"""Budgets and caps: how many cells, fields and minutes a queue may ask for, and from where."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

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
        Largest share of the queue that one predicted class may have, in (0, 1].
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


@dataclass
class Gate:
    """Lets cells into a queue as long as every limit holds."""

    limits: Limits
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
        limits, seen = self.limits, self.seen
        opens = bool(place["field"]) and place["field"] not in seen["field"]
        cost = limits.minutes_per_object + limits.minutes_per_field * opens
        caps: dict[str, float | None] = {
            "field": limits.per_field,
            "slide": limits.per_slide,
            "patient": limits.per_patient,
            # At least one cell of each class, or a small queue could not begin.
            "class": None
            if limits.per_class is None
            else max(1, int(limits.per_class * limits.objects)),
        }
        within = all(
            cap is None or not place[what] or seen[what][place[what]] < cap
            for what, cap in caps.items()
        )
        return (
            within
            and self.count < limits.objects
            and not (opens and limits.fields is not None and len(seen["field"]) >= limits.fields)
            and (limits.minutes is None or self.minutes + cost <= limits.minutes + 1e-9)
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
