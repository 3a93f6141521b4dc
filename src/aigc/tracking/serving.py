"""The model as MLflow loads and serves it: rows of (n, label, seed, source) in, PNG pictures out. Nothing is
unpickled.

MLflow runs this file when it loads the model, in a process whose numeric libraries are loaded already:
pictures are
those of this machine's arithmetic. `aigc generate` is for bytes that any machine makes.
"""

import os
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.model import PythonModel

from aigc import methods
from aigc.core.errors import ConfigError, DataError
from aigc.model import sampling
from aigc.reporting import grid

MOST = 10_000
SOURCE_FIT = "crop 255 255 255"  # params.yaml, which says how the data were fitted, is not here


class Sampler(PythonModel):
    """A trained method behind the pyfunc interface."""

    def load_context(self, context: Any) -> None:
        self.method, self.card = methods.load(Path(os.fspath(context.artifacts["model"])))

    def predict(self, context: Any, model_input: pd.DataFrame,
                params: dict[str, Any] | None = None) -> pd.DataFrame:
        """A row asks for `n` pictures of class `label` (default: all in turn) from `seed` (default 0).

        Of a method that translates: `n` is 1, and `source` holds the file of the picture to translate to
        `label`, which is cropped to a square.
        """
        from aigc.serving import orders  # it brings the decoders, which no training needs
        from aigc.serving.orders import Order

        answers = []
        for request in model_input.to_dict("records"):
            count, label, seed = (
                self._whole(request, *field) for field in (("n", None, 0), ("label", -1, -1), ("seed", 0, 0))
            )
            try:
                labels = orders.labels(self.method, Order(count, seed, label), MOST)
                sources = self._source(request)
                blocks = sampling.blocks(self.method, seed, count, labels, sources=sources)
                images = [image for block in blocks for image in block]
            except (ConfigError, DataError) as error:
                raise MlflowException.invalid_parameter_value(str(error)) from None
            answers += [
                {"index": index, "label": int(label), "png": grid.png(image.permute(1, 2, 0).numpy())}
                for index, (image, label) in enumerate(zip(images, labels, strict=True))
            ]
        return pd.DataFrame(answers)

    def _source(self, request: dict[str, Any]) -> np.ndarray | None:
        """The picture to translate, uint8 (1, C, H, W), None where the row has none."""
        content = request.get("source")
        if not isinstance(content, bytes) or not content:
            return None
        from aigc.provenance import source_pictures  # it brings the decoders, which no training needs

        return source_pictures.fitted(content, SOURCE_FIT, self.method.shape, "source")[None]

    @staticmethod
    def _whole(request: dict[str, Any], field: str, default: int | None, least: int) -> int:
        value = request.get(field, default)
        value = default if value is None or pd.isna(value) else value
        if value is None or int(value) != value or not least <= value < 2**32:
            raise MlflowException.invalid_parameter_value(
                f"{field} must be a whole number from {least} to 2^32 - 1, found {value}"
            )
        return int(value)


mlflow.models.set_model(Sampler())
