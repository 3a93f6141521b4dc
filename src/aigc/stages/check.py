"""check: reads the whole of params.yaml before anything runs. Params of other stages miss a misspelt key."""

from aigc import params
from aigc.core import config, files, paths


def run() -> None:
    """The out is constant, so that an edited comment re-runs no other stage."""
    params.check(config.read())
    files.write_json(paths.CHECKED, {"params": "understood"})
