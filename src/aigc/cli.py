"""The user's commands. The pipeline itself is `dvc repro`; these are for what DVC and MLflow do not do.

Imports nothing heavy: a command's room is imported when the command runs.
"""

import argparse
import sys
from pathlib import Path

from aigc.core import process
from aigc.core.version import VERSION

DESCRIPTION = "Image generation as a reproducible pipeline. `dvc repro` makes everything; these commands look after it."
EXAMPLES = """\
examples:
  dvc repro                                    make what changed, from the data to reports/report.html
  dvc exp run -S train.seed=1                  try another seed; compare with `dvc exp show`
  dvc exp run -S runtime.arithmetic=fast       use the GPU
  aigc ui                                      MLflow's UI, opened on the comparison of methods
  aigc verify                                  re-make the committed results and compare byte by byte
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
                    "its dvc.lock with the committed one, stage by stage. Exit 0: identical. On another CPU than the lock was "
                    "made on, differing bytes are a warning and the metrics decide, within stated tolerances.")
    verify.add_argument("--strict", action="store_true", help="differing bytes fail on any CPU")
    verify.add_argument("--keep", type=Path, metavar="DIR", help="clone into DIR (must not exist) and leave it there")
    verify.add_argument("--json", action="store_true", help="print the verdict as JSON")
    verify.add_argument("--summary", type=Path, metavar="FILE", help="also append the verdict to FILE as a Markdown table")
    verify.set_defaults(command=_verify)

    record = commands.add_parser(
        "record", help="note on which machine dvc.lock was made",
        description="Write lock_origin.json: which machine made the dvc.lock that lies here. `make repro` does it; `aigc verify` "
                    "reads it. Nothing is written when dvc.lock is still the one on record.")
    record.set_defaults(command=_record)
    return root


def _ui(arguments: argparse.Namespace) -> int:
    from aigc.tracking import ui

    return ui.serve(arguments.port)


def _verify(arguments: argparse.Namespace) -> int:
    from aigc import verify

    return verify.run(arguments.strict, arguments.keep, arguments.json, arguments.summary)


def _record(_: argparse.Namespace) -> int:
    from aigc import verify

    return verify.record()


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 an error of one line on stderr, 2 a wrong command line."""
    arguments = parser().parse_args(argv)
    return process.guarded(lambda: arguments.command(arguments), debug=arguments.debug)


if __name__ == "__main__":
    sys.exit(main())
