"""Queues to annotation tools and back; importing this package registers every format."""

from bloomdiff.selection.exchange import coco, contact, cvat, label_studio, table
from bloomdiff.selection.exchange.base import FORMATS, Answer, Format, Sheet, Shown
from bloomdiff.selection.exchange.returned import apply_answers, read_answers

__all__ = [
    "FORMATS",
    "Answer",
    "Format",
    "Sheet",
    "Shown",
    "apply_answers",
    "read_answers",
]
