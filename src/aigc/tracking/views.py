"""How MLflow's UI shows our runs: a note, a colour a method, and a saved view of the table.

The view's format is MLflow's own and undocumented: tests/tracking opens it in a real browser.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from aigc.core import hashes
from aigc.metrics import table

NAME = "aigc-comparison"
COLUMNS = (*(f"metrics.`{metric.name}`" for metric in table.on_page("mlflow")), "params.`images`", "params.`batch_size`",
           "params.`train.seed`", "params.`runtime.arithmetic`", "attributes.`Models`")
COLOURS = {"autoencoder": "#8d5524", "vae": "#edae49", "gan": "#5c6b73", "wgan_gp": "#7b4fa3", "dcgan": "#2c6e9b",
           "cgan": "#3a7d44", "flow": "#d1495b"}
AUDIT, PASSED = "aigc.memorization", "passed"
NOTE = """\
One run a trained model. `fid` and `is` are on the pipeline's own evaluator: compare them with each other and with the
floor in reports/report.html, not with published numbers. The grid of `samples` over training is under *Artifacts* and
in the chart view's image panel.
"""


def colour(method: str) -> str:
    """A colour that stays with a method's name."""
    return COLOURS.get(method, f"#{hashlib.sha256(method.encode()).hexdigest()[:6]}")


def experiment_tags() -> dict[str, str]:
    """The tags of the experiment: its note and the saved view."""
    columns = ["tags.`aigc.method`", *COLUMNS]
    state = {
        "searchFilter": "", "orderByKey": "metrics.`fid`", "orderByAsc": True, "startTime": "ALL", "lifecycleFilter": "Active",
        "datasetsFilter": [], "modelVersionFilter": "All Runs", "selectedColumns": columns, "columnOrder": columns,
        "columnWidths": {}, "runsHiddenMode": "SHOW_ALL", "groupBy": None, "runsPinned": [],
    }
    view = {"name": NAME, "createdAt": 0, "updatedAt": 0, "state": json.dumps(state)}
    return {"mlflow.note.content": NOTE, f"mlflow.sharedViewState.{NAME}": json.dumps(view)}


def address(server: str, experiment: str) -> str:
    """Where the saved view is, in a browser."""
    return f"{server}/#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={NAME}"


def verdict_tags(content: Mapping[str, Any]) -> dict[str, str]:
    """The tags that reports/metrics/METHOD.json gives a run. aigc.memorization: whether it passed the audit; a failed model must not
    be promoted. aigc.protocol: numbers of equal protocols may be compared."""
    tags = {}
    if "memorization" in content:
        tags[AUDIT] = PASSED if content["memorization"]["passes"] else "failed"
    if "protocol" in content:
        protocol = {key: value for key, value in content["protocol"].items() if not key.startswith("samples")}
        tags["aigc.protocol"] = hashes.short_digest(protocol)
    return tags
