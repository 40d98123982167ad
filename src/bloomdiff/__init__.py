"""BloomDiff: diffusion on cell embeddings, judged by what it does for real cells."""

__version__ = "0.1.0"
