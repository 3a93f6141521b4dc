"""The user's commands. The pipeline itself is `dvc repro`; these are for what DVC and MLflow do not do.

Imports nothing heavy: a command's room is imported when the command runs.
"""

import argparse
import math
import signal
import sys
from pathlib import Path

from aigc.core import process
from aigc.core.version import VERSION

DESCRIPTION = "Image generation as a reproducible pipeline. `dvc repro` makes everything; these commands look after it."
STATED = object()  # `--tolerance` without a number
EXAMPLES = """\
examples:
  dvc repro                                    make what changed, from the data to reports/report.html
  dvc exp run -S train.seed=1                  try another seed; compare with `dvc exp show`
  dvc exp run -S runtime.arithmetic=fast       use the GPU
  aigc ui                                      MLflow's UI, opened on the comparison of methods
  aigc evaluate --real A --fake B              judge any pictures
  aigc data check PATH                         would these pictures get through?
  aigc verify                                  re-make the committed results and compare byte by byte
  aigc generate dcgan --n 64 --out pictures    pictures that say where they come from
  aigc whence pictures/*.png                   whether they are what they say
  aigc reproduce RUN_ID                        re-make one MLflow run from what it recorded, and compare
"""


def parser() -> argparse.ArgumentParser:
    """The command line, with every command's help."""
    root = argparse.ArgumentParser(prog="aigc", description=DESCRIPTION, epilog=EXAMPLES,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
    root.add_argument("--version", action="version", version=f"aigc {VERSION}")
    root.add_argument("--debug", action="store_true", help="show the traceback of an error (also AIGC_DEBUG=1)")
    commands = root.add_subparsers(title="commands", metavar="COMMAND", required=True)

    ui = commands.add_parser("ui", help="start MLflow's UI on this project's store",
                             description="Start MLflow's UI on this project's store and print the address of a view that "
                                         "shows method, fid, is and the main params. Ctrl-C ends it.")
    ui.add_argument("--port", type=int, default=5000, help="port on 127.0.0.1 (default 5000)")
    ui.set_defaults(command=_ui)

    verify = commands.add_parser(
        "verify", help="re-make the committed results in a clean clone and compare",
        description="Clone HEAD into a temporary folder, run `dvc repro --force` there with the clone's own code, and compare "
                    "its dvc.lock with the committed one, stage by stage. Exit 0: identical, or within the tolerance that was asked for.")
    verify.add_argument("--method", action="append", default=[], metavar="NAME", help="only this method's metrics and all that they need")
    verify.add_argument("--stage", action="append", default=[], metavar="NAME", help="only this stage of dvc.yaml and all that it needs")
    verify.add_argument("--summary", type=Path, metavar="FILE", help="also append the verdict to FILE as a Markdown table")
    _add_judgement(verify).add_argument(
        "--tolerance-elsewhere", action="store_true",
        help="as --tolerance without SHARE, with a warning that names both, but only on another CPU model than the one the lock was made on")
    verify.set_defaults(command=_verify)

    _add_evaluate(commands)

    reproduce = commands.add_parser(
        "reproduce", help="re-make one MLflow run and compare weights and metrics",
        description="Make a git worktree at the commit of an MLflow run, apply the uncommitted changes that the run recorded, put its "
                    "params there, compare its environment with this one, train again, and compare weights and metrics. The "
                    "run may be in mlflow.db, in one that came from another machine, or on the server that MLFLOW_TRACKING_URI names.")
    reproduce.add_argument("run_id", metavar="RUN_ID", help="the id on the run's page in MLflow")
    _add_judgement(reproduce)
    reproduce.set_defaults(command=_reproduce)

    mend = commands.add_parser(
        "mend", help="clear what a kill or a power cut left of DVC's own files",
        description="Drop locks in .dvc/tmp/rwlock whose process is gone (or the file, if it was cut), restore a dvc.lock that was cut "
                    "while it was written, remove half-written temporary files, and mark runs as KILLED whose process is gone. "
                    "Touches nothing while a dvc is at work here. `make repro` does it first.")
    mend.set_defaults(command=_mend)
    history = commands.add_parser(
        "runs", help="draw all runs of the MLflow experiment on reports/runs.html",
        description="Write reports/runs.html: FID against training time for all evaluated runs of the MLflow experiment, and mean and "
                    "spread over the seeds of runs that differ in train.seed alone. It holds durations and is no part of the lock.")
    history.set_defaults(command=_runs)
    _add_data(commands)

    record = commands.add_parser(
        "record", help="note on which machine dvc.lock was made",
        description="Write lock_origin.json: which machine made the dvc.lock that lies here. `make repro` does it; `aigc verify` "
                    "reads it. Nothing is written when dvc.lock is still the one on record.")
    record.set_defaults(command=_record)
    _add_pictures(commands)
    _add_store(commands)
    return root


def _add_pictures(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    generate = commands.add_parser(
        "generate", help="pictures of a trained model, as PNG files that say where they come from",
        description="Write N pictures of a trained model, and a contact sheet of the first 256, as PNG files whose text chunks name model, "
                    "method, seed, index, label and training data, and IPTC's digital source type for AI-generated media. Picture i is "
                    "the same bytes however many are asked for. A file that is another picture is never written over.")
    generate.add_argument("method", nargs="?", metavar="METHOD", help="a method that was trained; may be left out with --model")
    generate.add_argument("--n", type=int, default=64, help="how many pictures, 1 or more (default 64)")
    generate.add_argument("--seed", type=int, default=0, help="0 to 2^32 - 1 (default 0)")
    generate.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to; made when missing")
    generate.add_argument("--class", dest="wanted", metavar="C", help="of one class, by name or index (default: every class in turn)")
    generate.add_argument("--model", metavar="MODEL",
                          help="a model's folder, an MLflow run id, or models:/… or runs:/… (default: models/METHOD)")
    generate.set_defaults(command=_generate)

    whence = commands.add_parser(
        "whence", help="whether a picture is what it says it is, by making it again",
        description="Read what each picture says of itself, find its model (models/, then MLflow, by its hashes), make the picture again, "
                    "and say: identical, differs, no such model, metadata stripped, or forged. Exit 0 only when all are identical.")
    whence.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="PNG files of `aigc generate`")
    whence.add_argument("--model", metavar="MODEL",
                        help="hold the pictures against this model: a folder, an MLflow run id, or models:/… or runs:/…")
    whence.add_argument("--json", action="store_true", help="print the verdicts as JSON")
    whence.set_defaults(command=_whence)


def _add_store(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    sync = commands.add_parser(
        "sync", help="make MLflow's store tell what dvc.lock holds",
        description="DVC restores a stage from its run cache without running it, so that MLflow hears nothing. For each model of dvc.lock "
                    "that has no run this makes one, marked as restored, with params, metrics, curves, samples and the model; and a run "
                    "that a kill left RUNNING, though no process holds its lock, becomes KILLED. Doing it twice changes nothing.")
    sync.set_defaults(command=_sync)

    promote = commands.add_parser(
        "promote", help="name a trained model as the one to use, in MLflow's registry",
        description="Register the model of METHOD (models/METHOD) and point models:/NAME@ALIAS at it, so that who serves that address serves "
                    "this model. Refused where the model failed its memorization audit. Doing it twice changes nothing.")
    promote.add_argument("method", metavar="METHOD", help="a method that was trained and evaluated")
    promote.add_argument("--name", default="aigc", help="of the registered model (default aigc)")
    promote.add_argument("--alias", default="champion", help="of the version (default champion)")
    promote.set_defaults(command=_promote)

    relocate = commands.add_parser(
        "relocate", help="mend MLflow's store after its folder was moved",
        description="mlflow.db and the MLmodel files in mlruns/ hold absolute paths. In the folder where both lie now, this replaces the "
                    "place where they lay by the one where they lie, so that the UI and models:/… find their artifacts again.")
    relocate.add_argument("folder", nargs="?", type=Path, default=Path(), metavar="DIR", help="where mlflow.db lies (default: here)")
    relocate.set_defaults(command=_relocate)


def _add_evaluate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    evaluate = commands.add_parser(
        "evaluate", help="judge any pictures against real ones: FID, KID, IS, precision, recall, density, coverage",
        description="Judge pictures that any model made. PATH is a folder of pictures (png, jpg, bmp, webp) or a .npy of uint8 "
                    "(N, C, H, W), (N, H, W, C) or (N, H, W). Prints each metric with its 95% interval and its floor: other real pictures "
                    "against the same real ones, at the same n. In a folder with params.yaml, its sections `runtime` and `evaluate` hold.")
    evaluate.add_argument("--real", type=Path, required=True, metavar="PATH", help="real pictures")
    evaluate.add_argument("--fake", type=Path, required=True, metavar="PATH", help="generated pictures, of the same size")
    evaluate.add_argument("--extractor", choices=["classifier", "inception"],
                          help="classifier: this project's models/evaluator | inception: InceptionV3 of the published protocol")
    evaluate.add_argument("--weights", type=Path, metavar="FILE", help="InceptionV3's weights (default: torch's cache, else a download)")
    evaluate.add_argument("--n", type=int, metavar="N", help="sample size, 40 or more (default: half of the real pictures, the rest is the "
                                                             "floor, or all fake ones if these are fewer)")
    evaluate.add_argument("--json", action="store_true", help="print JSON: metrics and the protocol that repeats them")
    evaluate.set_defaults(command=_evaluate)


def _add_judgement(command: argparse.ArgumentParser) -> "argparse._MutuallyExclusiveGroup":
    """What verify and reproduce share: how to judge, where to work, how to print. Gives the group of how to judge."""
    how = command.add_mutually_exclusive_group()
    how.add_argument("--tolerance", type=_share, nargs="?", const=STATED, metavar="SHARE",
                     help="differing bytes pass when every metric is within SHARE of what it was, such as 0.1; without SHARE, within "
                          "the tolerances of src/aigc/commands/comparison.py")
    command.add_argument("--keep", type=Path, metavar="DIR", help="work in DIR (must not exist) and leave it there")
    command.add_argument("--json", action="store_true", help="print the verdict as JSON")
    return how


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no share; 0.1 means a tenth")
    return share


def _add_data(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    data = commands.add_parser("data", help="look at pictures before they are trained on",
                               description="What concerns the pictures that go in. `aigc data check PATH` says whether a folder, a "
                                           "table or an array of your own would get through the pipeline, and changes nothing.")
    actions = data.add_subparsers(title="commands", metavar="COMMAND", required=True)
    check = actions.add_parser(
        "check", help="say what the pipeline would make of PATH",
        description="Run ingest and validation alone on PATH, under the thresholds of params.yaml, and say what they would do: which "
                    "pictures are used, which are quarantined and why, which expectations fail or warn. Nothing in the project changes. "
                    "Exit 0: ready to train (warnings allowed); 1: not.")
    check.add_argument("path", type=Path, metavar="PATH", help="a folder of pictures (a sub-folder a class), a .csv table of paths and "
                       "labels, a .npy array, or a folder with IDX files, images.npy or CIFAR-10's archive")
    check.set_defaults(command=_data_check)


def _data_check(arguments: argparse.Namespace) -> int:
    from aigc.core import config, runtime

    chosen = config.section("runtime", config.Runtime)
    runtime.cap_environment(chosen.arithmetic, chosen.threads)
    from aigc.data import check

    def needing_classes() -> list[str]:
        from aigc.methods import contract

        return contract.needing_classes(config.methods())

    return check.run(arguments.path, chosen.threads, needing_classes)


def _ui(arguments: argparse.Namespace) -> int:
    from aigc.tracking import ui

    # MLflow's server is of a session of its own: whatever ends us must reach it as Ctrl-C does.
    for end in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(end) is not signal.SIG_IGN:
            signal.signal(end, signal.default_int_handler)
    return ui.serve(arguments.port)


def _verify(arguments: argparse.Namespace) -> int:
    from aigc.commands import verify

    request = verify.Request(tuple(arguments.method), tuple(arguments.stage), *_tolerance(arguments), arguments.tolerance_elsewhere)
    return verify.run(request, arguments.keep, arguments.json, arguments.summary)


def _reproduce(arguments: argparse.Namespace) -> int:
    from aigc.commands import reproduce

    tolerant, share = _tolerance(arguments)
    return reproduce.run(arguments.run_id, tolerant, share, arguments.keep, arguments.json)


def _tolerance(arguments: argparse.Namespace) -> tuple[bool, float | None]:
    """(whether metrics decide, the share that was given or None for the stated ones)."""
    given = arguments.tolerance
    return given is not None, None if given is STATED else given


def _mend(_: argparse.Namespace) -> int:
    from aigc.commands import mend

    return mend.run()


def _evaluate(arguments: argparse.Namespace) -> int:
    from aigc.core import config, paths, runtime

    content = config.read() if paths.PARAMS.exists() else None
    switches = config.section("runtime", config.Runtime, content) if content else config.Runtime(arithmetic="portable", threads=2)
    chosen = config.section("evaluate", config.Evaluate, content) if content else None
    runtime.cap_environment(switches.arithmetic, switches.threads)
    from aigc.commands import evaluate

    given = {"extractor": arguments.extractor or ("inception" if arguments.weights else None),
             "inception_weights": str(arguments.weights) if arguments.weights else None}
    return evaluate.run(arguments.real, arguments.fake, chosen, runtime.start_torch(switches.arithmetic, switches.threads), arguments.n,
                     arguments.json, **{key: value for key, value in given.items() if value is not None})


def _runs(_: argparse.Namespace) -> int:
    from aigc.commands import experiment

    return experiment.write()


def _promote(arguments: argparse.Namespace) -> int:
    from aigc.commands import promote

    return promote.run(arguments.method, arguments.name, arguments.alias)


def _record(_: argparse.Namespace) -> int:
    from aigc.commands import verify

    return verify.record()


def _generate(arguments: argparse.Namespace) -> int:
    from aigc.core import config, runtime

    switches = config.section("runtime", config.Runtime)
    runtime.cap_environment(switches.arithmetic, switches.threads)
    from aigc.commands import generate

    return generate.run(arguments.method, arguments.model, arguments.n, arguments.seed, arguments.out, arguments.wanted, switches)


def _whence(arguments: argparse.Namespace) -> int:
    from aigc.commands import whence
    from aigc.core import runtime

    findings = whence.read(arguments.images)
    switches = whence.switches_of(findings)
    runtime.cap_environment(switches.arithmetic, switches.threads)
    return whence.run(findings, arguments.model, switches, arguments.json)


def _sync(_: argparse.Namespace) -> int:
    from aigc.commands import sync

    return sync.run()


def _relocate(arguments: argparse.Namespace) -> int:
    from aigc.commands import relocate

    return relocate.run(arguments.folder)


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 an error of one line on stderr, 2 a wrong command line."""
    arguments = parser().parse_args(argv)
    return process.guarded(lambda: arguments.command(arguments), debug=arguments.debug)


if __name__ == "__main__":
    sys.exit(main())
