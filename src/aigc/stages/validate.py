"""validate: the gate. What the arrays say is measured again before the manifest is judged."""

import sys

from aigc.core import config, files, paths
from aigc.core.errors import GateError
from aigc.data import expectations, gate
from aigc.data.config import GateConfig


def run() -> None:
    chosen = config.section("validate", GateConfig)
    verdict, table = gate.judge(paths.RAW, chosen, paths.DATA_DOCS, paths.DATA_REFERENCE / "manifest.parquet")
    files.write_json(paths.VALIDATION, verdict)
    if told := expectations.failures_table(verdict, table):
        print(told, file=sys.stderr)
    failed = expectations.failed(verdict["results"], "critical")
    if failed:
        raise GateError(f"{len(failed)} of {len(verdict['results'])} expectations failed on {paths.RAW}; "
                        f"see {paths.DATA_DOCS / 'index.html'}, then mend the data or the thresholds under `validate`")
