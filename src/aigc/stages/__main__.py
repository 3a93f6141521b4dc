"""Runs one stage of dvc.yaml: `python -m aigc.stages NAME [METHOD]`. DVC is who calls it.

Caps the arithmetic before the stage's page (and with it numpy and torch) is imported.
"""

import functools
import importlib
import inspect
import os
import pkgutil
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from aigc.core import paths, process
from aigc.core.errors import AigcError, ConfigError

if TYPE_CHECKING:
    from aigc.training.observer import Observer

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
    from aigc.core import config, runtime, sharing

    _refuse_foreign_code()
    switches = config.section("runtime", runtime.RuntimeConfig)
    runtime.cap_environment(switches.arithmetic, switches.threads)
    pages = pkgutil.iter_modules([str(Path(__file__).parent)])
    known = sorted(page.name for page in pages if page.name != "__main__")
    if name not in known:
        raise ConfigError(f"no stage `{name}`{config.did_you_mean(name, known)}")
    count = sharing.processes_here() if name in sharing.STAGES else 1
    with sharing.processes(count, switches.arithmetic, switches.threads):
        _run_page(name, *arguments)


def _run_page(name: str, *arguments: str) -> None:
    page = importlib.import_module(f"aigc.stages.{name}")
    work, launch = page.run, getattr(page, "launch", None)
    wanted = [parameter for parameter in inspect.signature(work).parameters if parameter != "observer"]
    if len(arguments) != len(wanted):
        raise ConfigError(f"usage: python -m aigc.stages {' '.join([name, *map(str.upper, wanted)])}")
    try:
        with _only_writer(paths.CHECKPOINTS / f"{'-'.join((name, *arguments))}.lock"):
            if launch and launch(*arguments):  # in several processes, which have ended
                return
            if name in OBSERVED:
                work = functools.partial(work, observer=_observer())
            work(*arguments)
    except AigcError as error:
        if not process.is_launched():
            error.args = (f"{' '.join((name, *arguments))}: {error}",)
        raise


def _only_writer(lock: Path) -> AbstractContextManager[None]:
    """An orphan of a killed DVC may still be here for a moment; two writers never meet.

    Of several processes of a stage, who started them holds the lock, or the first of them.
    """
    is_held = process.is_launched() or process.rank() > 0
    return nullcontext() if is_held else process.only_writer(lock)


def _observer() -> "Observer":
    """MLflow's; of several processes the first alone has it."""
    if process.rank() > 0:
        from aigc.training.observer import Observer

        return Observer()
    from aigc.tracking.observer import MlflowObserver

    return MlflowObserver()


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
    code = main(sys.argv[1:])
    if code and process.shares_a_training():
        process.leave(code)
    sys.exit(code)
