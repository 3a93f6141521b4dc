"""`aigc repro`: what `dvc repro` makes, with the stages that do not need each other side by side."""

import argparse
import sys

# Those of `dvc repro`. Passed on as they are: each stage by itself does what they say.
PASSED = ("force", "pull", "no_commit", "no_run_cache", "ignore_errors")
# Need one process that goes through the whole graph, or a terminal of its own.
REFUSED = {
    "interactive": "stages side by side cannot ask",
    "force_downstream": "it needs to know what changed before",
    "allow_missing": "it needs to know what changed before",
}
DVC_REPRO = "dvc.org/doc/command-reference/repro"


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    repro = commands.add_parser(
        "repro", help="`dvc repro` with the stages of several methods side by side",
        description="Make what changed, as `dvc repro` does, in several processes: the same outs and the "
                    "same dvc.lock. A stage that fails stops what depends on it and nothing else. The output "
                    "of each process is kept in .checkpoints/logs. After a kill, run it again.")
    repro.add_argument("targets", nargs="*", help="stages, as `dvc repro` takes them; default: all")
    repro.add_argument("-j", "--jobs", type=int, metavar="N",
                       help="processes at a time; default: CPU cores / runtime.threads, and with "
                            "runtime.arithmetic `fast` one a GPU, or one a device in CUDA_VISIBLE_DEVICES")
    repro.add_argument("--devices", type=int, metavar="N",
                       help="processes that share each training, by its shards (train.shards), its "
                            "sampling and its evaluation: N cores, or N GPUs; the results are the same for "
                            "any N. Default: AIGC_DEVICES, else 1")
    dvc = repro.add_argument_group(f"flags of `dvc repro` ({DVC_REPRO})")
    for short, name, text in (
            ("-f", "--force", "run stages that did not change, too"),
            ("-s", "--single-item", "the targets alone, without what they depend on"),
            ("-p", "--pipeline", "all stages that are connected with the targets"),
            ("-P", "--all-pipelines", "all stages of the project"),
            ("-R", "--recursive", "all stages in the folders that are named"),
            ("-k", "--keep-going", "always so here: what does not depend on a failed stage goes on"),
            ("-i", "--interactive", argparse.SUPPRESS)):
        dvc.add_argument(short, name, action="store_true", help=text)
    for name, text in (
            ("--downstream", "the targets and what depends on them"),
            ("--glob", "targets may have wildcards"),
            ("--pull", "pull data that is missing"),
            ("--dry", "print what would run, and run nothing"),
            ("--no-commit", "leave outs out of DVC's cache"),
            ("--no-run-cache", "run what was run before, too"),
            ("--ignore-errors", "go on after a failed stage as if it had not failed"),
            ("--force-downstream", argparse.SUPPRESS), ("--allow-missing", argparse.SUPPRESS)):
        dvc.add_argument(name, action="store_true", help=text)
    repro.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from aigc.core import process
    from aigc.core.errors import ConfigError
    from aigc.orchestration import plan, slots
    from aigc.orchestration.run import forget_order
    from aigc.orchestration.run import run as run_plan

    for name, reason in REFUSED.items():
        if getattr(arguments, name):
            raise ConfigError(f"--{name.replace('_', '-')}: {reason}; `dvc repro` takes it")
    devices = slots.devices_of_training(arguments.devices)
    places = slots.choose(arguments.jobs, devices)
    flags = [f"--{name.replace('_', '-')}" for name in PASSED if getattr(arguments, name)]
    if arguments.dry:
        return process.call([sys.executable, "-m", "dvc", "repro", "--dry", *flags, *_selection(arguments)],
                            preexec_fn=process.die_with_parent).returncode
    planned = plan.make(arguments)
    if not planned.candidates:
        forget_order()
        print("Data and pipelines are up to date.")
        return 0
    made = run_plan(planned, places, flags, devices)
    print(f"{len(made)} of {len(planned.order)} stages made. Use `dvc push` to send your updates to remote "
          "storage." if made else "Data and pipelines are up to date.")
    return 0


def _selection(arguments: argparse.Namespace) -> list[str]:
    from aigc.orchestration.plan import SELECTING

    names = [f"--{name.replace('_', '-')}" for name in SELECTING if getattr(arguments, name)]
    return [*names, "--", *arguments.targets]
