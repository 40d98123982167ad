"""Queues to annotation tools and back; importing this package registers every format."""

from bloomdiff.selection.exchange import coco, contact, cvat, label_studio, table
from bloomdiff.selection.exchange.base import FORMATS, Answer, Format
from bloomdiff.selection.exchange.returned import apply_answers, read_answers
from bloomdiff.selection.exchange.sheet import Sheet, Shown
from bloomdiff.selection.exchange.writing import write_formats

__all__ = [
    "FORMATS",
    "Answer",
    "Format",
    "Sheet",
    "Shown",
    "apply_answers",
    "read_answers",
    "write_formats",
]
