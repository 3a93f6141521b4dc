"""A logged model loads and predicts with MLflow alone."""

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.exceptions import MlflowException
from PIL import Image

from aigc import methods
from aigc.model import sampling
from aigc.provenance import texts
from aigc.tracking import serving
from projects import run_in
from small import small_model
from stores import runs_of

PREDICT = """
import os, sys
os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
import mlflow, pandas as pd, io
from PIL import Image
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
answer = model.predict(pd.DataFrame({"n": [2, 1], "label": [-1, -1], "seed": [0, 0]}))
assert list(answer.columns) == ["index", "label", "png"], answer.columns
assert [Image.open(io.BytesIO(png)).size for png in answer["png"]] == [(28, 28)] * 3
assert answer["png"][0] == answer["png"][2] != answer["png"][1]
cases = ((0, 0, "n must be between 1 and"), (1, -1, "seed must be a whole number from 0 to"))
for count, seed, says in cases:
    try:
        model.predict(pd.DataFrame({"n": [count], "label": [-1], "seed": [seed]}))
    except mlflow.exceptions.MlflowException as error:
        assert says in str(error), error
    else:
        raise AssertionError(f"n = {count}, seed = {seed} were accepted")
"""


def test_the_model_loads_and_predicts_in_a_process_that_has_only_mlflow(
    finished: Path, tmp_path: Path
) -> None:
    outputs = runs_of(finished)["gan"].outputs.model_outputs
    run_in(
        tmp_path,
        sys.executable,
        "-c",
        PREDICT,
        f"sqlite:///{finished / 'mlflow.db'}",
        f"models:/{outputs[0].model_id}",
    )


def test_served_pictures_bear_the_texts_and_the_label_of_generated_ones(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("label: {producer: Studio}\n")
    served, folder = serving.Sampler(), small_model(tmp_path, "cgan")
    served.load_context(SimpleNamespace(artifacts={"model": str(folder)}))
    answer = served.predict(None, pd.DataFrame({"n": [2], "label": [3], "seed": [5]}))
    card = methods.load(folder)[1]
    for index, png in zip(answer["index"], answer["png"], strict=True):
        (tmp_path / "a.png").write_bytes(png)
        found = texts.examine(tmp_path / "a.png")
        assert found and found.is_sound and found.claim and found.label["ContentProducer"] == "Studio"
        assert (found.claim.model_sha256, found.claim.seed, found.claim.index, found.claim.label) == (
            card.sha256, "5", str(index), "3")


def test_a_served_method_that_translates_takes_the_file_of_a_picture(tmp_path: Path) -> None:
    served = serving.Sampler()
    folder = small_model(tmp_path, "cyclegan", classes=2)
    served.load_context(SimpleNamespace(artifacts={"model": str(folder)}))
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "source.png")
    source = (tmp_path / "source.png").read_bytes()
    answer = served.predict(None, pd.DataFrame({"n": [1, 1], "label": [0, 1], "source": [source] * 2}))
    method = methods.load(folder)[0]
    for label, png in zip(answer["label"], answer["png"], strict=True):
        expected = next(sampling.blocks(method, 0, 1, torch.tensor([label]), sources=pixels[None, None]))
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(png))), expected[0, 0].numpy())
    for request, says in (({"n": [1]}, "1 source pictures are needed, none given"),
                          ({"n": [2], "source": [source]}, "2 source pictures are needed, 1 given"),
                          ({"n": [1], "source": [b"words"]}, "source: no PNG")):
        with pytest.raises(MlflowException, match=says):
            served.predict(None, pd.DataFrame(request))
