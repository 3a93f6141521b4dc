"""Runs one stage of dvc.yaml: `python -m aigc.stages NAME [METHOD]`. DVC is who calls it.

Caps the arithmetic before the stage's page (and with it numpy and torch) is imported.
"""

import functools
import importlib
import inspect
import os
import pkgutil
import sys
from pathlib import Path

from aigc.core import paths, process
from aigc.core.errors import AigcError, ConfigError

OBSERVED = ("train", "evaluate")  # stages that MLflow records


def main(arguments: list[str]) -> int:
    """Run the stage that `arguments` name and return its exit code."""
    process.start()
    if not arguments:
        print("usage: python -m aigc.stages NAME [METHOD]", file=sys.stderr)
        return process.USAGE_EXIT_CODE
    process.die_with_parent()
    return process.guarded(lambda: _run(*arguments))


def _run(name: str, *arguments: str) -> None:
    # Imported here, since they take a while in which DVC may be killed: `die_with_parent` comes first.
    from aigc.core import config, runtime

    _refuse_foreign_code()
    switches = config.section("runtime", runtime.RuntimeConfig)
    runtime.cap_environment(switches.arithmetic, switches.threads)
    pages = pkgutil.iter_modules([str(Path(__file__).parent)])
    known = sorted(page.name for page in pages if page.name != "__main__")
    if name not in known:
        raise ConfigError(f"no stage `{name}`{config.did_you_mean(name, known)}")
    work = importlib.import_module(f"aigc.stages.{name}").run
    wanted = [parameter for parameter in inspect.signature(work).parameters if parameter != "observer"]
    if len(arguments) != len(wanted):
        raise ConfigError(f"usage: python -m aigc.stages {' '.join([name, *map(str.upper, wanted)])}")
    if name in OBSERVED:
        from aigc.tracking.observer import MlflowObserver

        work = functools.partial(work, observer=MlflowObserver())
    try:
        # An orphan of a killed DVC may still be here for a moment; two writers never meet.
        with process.only_writer(paths.CHECKPOINTS / f"{'-'.join((name, *arguments))}.lock"):
            work(*arguments)
    except AigcError as error:
        error.args = (f"{' '.join((name, *arguments))}: {error}",)
        raise


def _refuse_foreign_code() -> None:
    """The code that runs must be the code that DVC hashed."""
    if not paths.PARAMS.exists():
        raise ConfigError(f"no {paths.PARAMS} in {Path.cwd()}; run a stage in the project's root, "
                          "as DVC does")
    root = Path(os.environ.get("DVC_ROOT", "."))
    here = Path(__file__).resolve()
    if not here.is_relative_to(root.resolve()):
        raise ConfigError(f"{here} runs, but DVC hashed the code under {root.resolve()}; "
                          "set PYTHONPATH=src as dvc.yaml does")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
