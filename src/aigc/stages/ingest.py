"""ingest: the source, decoded once, with a manifest: what each picture is, and which split it is in."""

import sys

from aigc.core import config, paths
from aigc.data import ingest


def run() -> None:
    content = config.read()
    data = config.section("data", config.Data, content)
    shape = config.section("preprocess", config.Preprocess, content)
    processes = config.section("runtime", config.Runtime, content).threads
    counts = ingest.ingest(data, shape, processes, paths.RAW)
    for line in counts.lines():
        print(line, file=sys.stderr)
