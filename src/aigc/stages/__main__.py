"""Runs one stage of dvc.yaml: `python -m aigc.stages NAME [METHOD]`. DVC is who calls it.

Caps the arithmetic before the stage's page (and with it numpy and torch) is imported.
"""

import importlib
import importlib.util
import os
import sys
from pathlib import Path

from aigc.core import paths, process, runtime
from aigc.core.errors import AigcError, ConfigError


def main(arguments: list[str]) -> int:
    """Run the stage that `arguments` name and return its exit code."""
    if not arguments:
        print("usage: python -m aigc.stages NAME [METHOD]", file=sys.stderr)
        return process.USAGE_EXIT_CODE
    process.die_with_parent()
    return process.guarded(lambda: _run(*arguments))


def _run(name: str, *arguments: str) -> None:
    from aigc.core import config  # takes a while, in which DVC may be killed: first `die_with_parent`

    _refuse_foreign_code()
    chosen = config.section("runtime", config.Runtime)
    runtime.cap_environment(chosen.arithmetic, chosen.threads)
    if importlib.util.find_spec(f"aigc.stages.{name}") is None:
        raise ConfigError(f"no stage `{name}`; dvc.yaml names them")
    page = importlib.import_module(f"aigc.stages.{name}")
    try:
        # An orphan of a killed DVC may still be here for a moment; two writers never meet.
        with process.only_writer(paths.CHECKPOINTS / f"{'-'.join((name, *arguments))}.lock"):
            page.run(*arguments)
    except AigcError as error:
        error.args = (f"{' '.join((name, *arguments))}: {error}",)
        raise


def _refuse_foreign_code() -> None:
    """The code that runs must be the code that DVC hashed."""
    root = Path(os.environ.get("DVC_ROOT", "."))
    here = Path(__file__).resolve()
    if not here.is_relative_to(root.resolve()):
        raise ConfigError(f"{here} runs, but DVC hashed the code under {root.resolve()}; "
                          "set PYTHONPATH=src as dvc.yaml does")
    if not paths.PARAMS.exists():
        raise ConfigError(f"no {paths.PARAMS} in {Path.cwd()}; run a stage in the project's root, as DVC does")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
