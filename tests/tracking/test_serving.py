"""A logged model loads and predicts with MLflow alone."""

import sys
from pathlib import Path

from conftest import run_in
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
