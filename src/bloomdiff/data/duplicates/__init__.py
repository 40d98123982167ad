"""Copies of one cell, exact and changed, put into one group so that no fold separates them."""

from bloomdiff.data.duplicates.candidates import near_by_embedding
from bloomdiff.data.duplicates.families import join_families
from bloomdiff.data.duplicates.search import DuplicateParams, find_duplicates, group_duplicates

__all__ = [
    "DuplicateParams",
    "find_duplicates",
    "group_duplicates",
    "join_families",
    "near_by_embedding",
]
