"""ingest: the source, decoded once, with a manifest that says of each picture what it is and which split it is in."""

import sys

from aigc.core import config, paths
from aigc.data import ingest


def run() -> None:
    content = config.read()
    data, shape = config.section("data", config.Data, content), config.section("preprocess", config.Preprocess, content)
    counts = ingest.ingest(data, shape, config.section("runtime", config.Runtime, content).threads, paths.RAW)
    for line in counts.lines():
        print(line, file=sys.stderr)
