"""The model as MLflow loads and serves it: rows of (n, label, seed, source) in, labelled PNG pictures out.
Nothing is unpickled.

MLflow runs this file when it loads the model, in a process whose numeric libraries are loaded already:
pictures are those of this machine's arithmetic, and say so. `aigc generate` is for bytes that any machine
makes.
"""

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import torch
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.model import PythonModel

from aigc import methods
from aigc.core import runtime
from aigc.core.errors import ConfigError, DataError
from aigc.model import sampling

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
                images = [image.numpy() for block in blocks for image in block]
                answers += self._labelled(request, seed, labels.tolist(), images)
            except (ConfigError, DataError) as error:
                raise MlflowException.invalid_parameter_value(str(error)) from None
        return pd.DataFrame(answers)

    def _labelled(self, request: dict[str, Any], seed: int, labels: list[int],
                  images: list[np.ndarray]) -> list[dict[str, Any]]:
        """The rows of an answer. images: uint8 (C, H, W). The producer in the label is that of params.yaml,
        where the server was started in a folder that has one.
        """
        from aigc.provenance import drawing, texts  # they bring the decoders, which no training needs

        switches = runtime.RuntimeConfig(arithmetic="portable" if runtime.is_capped() else "fast",
                                         threads=torch.get_num_threads())
        claim = drawing.claim_of(self.card, seed, switches)
        source = request.get("source")
        if isinstance(source, bytes) and source:
            claim = replace(claim, translated_sha256=hashlib.sha256(source).hexdigest(),
                            translated_fit=SOURCE_FIT)
        return [{"index": index, "label": label, "png": texts.encode(
                    drawing.as_picture(image), replace(claim, index=str(index), label=str(label)))}
                for index, (image, label) in enumerate(zip(images, labels, strict=True))]

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
