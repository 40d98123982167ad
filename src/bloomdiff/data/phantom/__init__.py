"""A digital phantom of a stained blood smear: cells of a known distribution, drawn from a seed."""

from bloomdiff.data.phantom.params import PhantomParams
from bloomdiff.data.phantom.write import write_phantom

__all__ = ["PhantomParams", "write_phantom"]
