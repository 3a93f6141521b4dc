"""ingest: the source, decoded once, with a manifest that says of each picture what it is and which split it is in."""

from aigc.core import config, paths
from aigc.data import ingest


def run() -> None:
    content = config.read()
    chosen, shape = config.section("data", config.Data, content), config.section("preprocess", config.Preprocess, content)
    ingest.ingest(chosen, shape, config.section("runtime", config.Runtime, content).threads, paths.RAW)
