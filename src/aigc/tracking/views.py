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
COLUMNS = (*(f"metrics.`{metric.name}`" for metric in table.on_page("mlflow")), "params.`images`",
           "params.`batch_size`", "params.`train.seed`", "params.`runtime.arithmetic`", "attributes.`Models`")
# A method takes the colour at its name's hash, so that nobody lists methods here. Another order gives other
# colours.
PALETTE = (
    "#8d5524", "#bc6c25", "#4361ee", "#9d0208", "#6a994e", "#2c6e9b", "#00798c", "#7b4fa3",
    "#c77dff", "#0b525b", "#386641", "#e76f51", "#7f5539", "#2a9d8f", "#b5179e", "#5f0f40",
    "#d1495b", "#ff7f50", "#606c38", "#3a7d44", "#3f37c9", "#8338ec", "#a44a3f", "#5c6b73",
    "#588157", "#edae49", "#264653", "#023e8a", "#9b2226", "#6d6875",
)
OF_ONE_MODEL = ("samples", "weights_sha256",
                "card_sha256")  # how the keys begin that differ between models of one protocol
AUDIT, PASSED = "aigc.memorization", "passed"
PROTOCOL = "aigc.protocol"
EVALUATED = "aigc.evaluated_sha256"  # the weights that a run's numbers and its audit are of
NOTE = """\
One run a trained model. `fid` and `is` are on the pipeline's own evaluator: compare them with each other
and with the floor in reports/report.html, not with published numbers. The grid of `samples` over training
is under *Artifacts* and in the chart view's image panel.
"""


def colour(method: str) -> str:
    """A colour that stays with a method's name."""
    return PALETTE[int(hashlib.sha384(method.encode()).hexdigest(), 16) % len(PALETTE)]


def experiment_tags() -> dict[str, str]:
    """The tags of the experiment: its note and the saved view."""
    columns = ["tags.`aigc.method`", *COLUMNS]
    state = {"searchFilter": "", "orderByKey": "metrics.`fid`", "orderByAsc": True, "startTime": "ALL",
             "lifecycleFilter": "Active", "datasetsFilter": [], "modelVersionFilter": "All Runs",
             "selectedColumns": columns, "columnOrder": columns, "columnWidths": {},
             "runsHiddenMode": "SHOW_ALL", "groupBy": None, "runsPinned": []}
    view = {"name": NAME, "createdAt": 0, "updatedAt": 0, "state": json.dumps(state)}
    return {"mlflow.note.content": NOTE, f"mlflow.sharedViewState.{NAME}": json.dumps(view)}


def address(server: str, experiment: str) -> str:
    """Where the saved view is, in a browser."""
    return f"{server}/#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={NAME}"


def verdict_tags(content: Mapping[str, Any]) -> dict[str, str]:
    """The tags that reports/metrics/METHOD.json gives a run.

    aigc.memorization: whether it passed the audit; a failed model must not be promoted.
    aigc.evaluated_sha256: the weights that
    were judged. aigc.protocol: numbers of equal protocols may be compared.
    """
    tags = {}
    if "memorization" in content:
        tags[AUDIT] = PASSED if content["memorization"]["passes"] else "failed"
    if "protocol" in content:
        protocol = {key: value for key,
                    value in content["protocol"].items() if not key.startswith(OF_ONE_MODEL)}
        tags[PROTOCOL] = hashes.short_digest(protocol)
        tags[EVALUATED] = content["protocol"].get("weights_sha256", "")
    return tags
