"""A classifier for use: images or embeddings in; cell type, probabilities and "ask a human" out."""

from bloomdiff.serving.cell_typer import CellTyper

__all__ = ["CellTyper"]
