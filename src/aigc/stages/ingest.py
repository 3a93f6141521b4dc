"""ingest: the source, decoded once, with a manifest that says of each picture what it is and which split it is in."""

from aigc.core import config, paths
from aigc.core.runtime import RuntimeConfig
from aigc.data import ingest
from aigc.data.config import DataConfig, PreprocessConfig


def run() -> None:
    content = config.read()
    chosen, shape = config.section("data", DataConfig, content), config.section("preprocess", PreprocessConfig, content)
    ingest.ingest(chosen, shape, config.section("runtime", RuntimeConfig, content).threads, paths.RAW)
