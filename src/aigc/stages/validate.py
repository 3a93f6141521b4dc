"""validate: the data gate. Pictures are measured a second time before the manifest is checked."""

import sys

from aigc.core import config, files, paths
from aigc.core.errors import GateError
from aigc.data import expectations, gate
from aigc.data.config import GateConfig


def run() -> None:
    settings = config.section("validate", GateConfig)
    verdict, _, examples = gate.judge(paths.RAW, settings, paths.DATA_DOCS,
                                      paths.DATA_REFERENCE / "manifest.parquet")
    files.write_json(paths.VALIDATION, verdict)
    if failures := expectations.failures_table(verdict, examples):
        print(failures, file=sys.stderr)
    failed = expectations.failed(verdict["results"], "critical")
    if failed:
        raise GateError(f"{len(failed)} of {len(verdict['results'])} expectations failed on {paths.RAW}; "
                        f"see {paths.DATA_DOCS / 'index.html'}, then correct the data or the "
                        "thresholds under `validate`")
