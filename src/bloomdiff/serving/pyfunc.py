"""The served model as MLflow runs it: this file is stored as code, nothing is pickled."""

from __future__ import annotations

from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from bloomdiff.serving import CellTyper
from bloomdiff.serving.requests import embeddings_of, images_of


class ServedCellTyper(PythonModel):
    """Takes a table with the column `image` or `embedding`, see `CellTyper.predict`."""

    def load_context(self, context: Any) -> None:
        """Read the bundle."""
        self.typer = CellTyper.load(context.artifacts["bundle"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Name the cell type of each row."""
        images = images_of(model_input)
        if images is not None:
            told = self.typer.predict_images(images)
        else:
            told = self.typer.predict(embeddings_of(model_input, self.typer.dim))
        # A part of a table is joined with its answers by its own index.
        return told.set_axis(model_input.index)


set_model(ServedCellTyper())
