"""`bloomdiff encoders`: what can turn an image into a vector."""

from __future__ import annotations

import typer


def list_encoders() -> None:
    """List the encoders: dimension, input, licence, source, what they were trained on."""
    from bloomdiff.encoders import ENCODERS

    heading = ("name", "dim", "input", "licence", "source", "trained on")
    table = [heading]
    for name in ENCODERS:
        card = ENCODERS[name].card
        shown = f"{name}NAME" if name == "timm:" else f"{name}PATH" if name == "file:" else name
        size = f"{card.image_size} px" if card.image_size else "any" if card.dim else "its own"
        dim = str(card.dim) if card.dim else "its own"
        table.append((shown, dim, size, card.licence, card.source, card.trained_on))
    widths = [max(len(row[i]) for row in table) for i in range(len(heading))]
    for row in table:
        typer.echo("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip())


def register(app: typer.Typer) -> None:
    """Add the command to the root app."""
    app.command("encoders")(list_encoders)
