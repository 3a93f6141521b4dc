"""ingest: the source, decoded once, with a manifest: what each picture is, and which split it is in."""

import sys

from aigc.core import config, paths, process
from aigc.data import ingest
from aigc.data.config import DataConfig, PreprocessConfig


def run() -> None:
    content = config.read()
    data = config.section("data", DataConfig, content)
    shape = config.section("preprocess", PreprocessConfig, content)
    counts = ingest.ingest(data, shape, process.cores(), paths.RAW)
    for line in counts.lines():
        print(line, file=sys.stderr)
