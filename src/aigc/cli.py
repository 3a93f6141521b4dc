"""The command line: a list of commands, each a file of `aigc.commands` with `add_parser` and `run`.

The pipeline itself is DVC's; the commands do what DVC and MLflow do not. Nothing heavy is imported
here, nor by the files of the commands before they run.
"""

import argparse
import importlib
import sys
from typing import Any

from aigc.core import process
from aigc.core.version import VERSION
from aigc.workspace import root

COMMANDS = ("repro", "ui", "verify", "evaluate", "reproduce", "mend", "runs", "params", "use", "data_check",
            "record", "generate", "interpolate", "reconstruct", "translate", "play", "serve", "whence",
            "label", "sync", "compare", "promote", "rollback", "export", "publish", "sweep", "init_from",
            "relocate", "deps")
DESCRIPTION = ("Image generation as a reproducible pipeline. `dvc repro` makes everything; "
               "these commands look after it.")
EXAMPLES = """\
examples:
  dvc repro                                    make what changed, from the data to reports/report.html
  aigc repro                                   the same with several stages at a time, as the cores allow
  dvc exp run -S train.seed=1                  try another seed; compare with `dvc exp show`
  dvc exp run -S runtime.arithmetic=fast       use the GPU
  aigc compare gan dcgan                       metrics of two models, and which differences are real
  aigc ui                                      MLflow's UI, opened on the comparison of methods
  aigc params dcgan                            every key of a method: value, unit, range, default
  aigc use fashion                             other data, a GPU, a quick run: params.yaml by a recipe
  aigc sweep SPACE.yaml                        try settings over a space of them, on one worker or many
  aigc init-from aigc@champion                 train on from a trained model, such as on new pictures
  aigc evaluate --real A --fake B              judge any pictures
  aigc data use PATH                           fit params.yaml to your own pictures
  aigc data check PATH                         would these pictures get through?
  aigc verify                                  make the committed results again and compare byte by byte
  aigc generate dcgan --n 64 --out pictures    pictures that name the model they come from
  aigc interpolate vae --out way.gif           from one sample to another: a GIF, APNG or row
  aigc serve aigc@champion                     pictures over HTTP
  aigc play                                    try the trained models in a browser
  aigc whence pictures/*.png                   whether they are what they say
  aigc label check picture.png                 which labels of AI-generated media a picture bears
  aigc reproduce RUN_ID                        make one MLflow run again from what it recorded, and compare

completion of commands and options in your shell:
  eval "$(aigc --print-completion bash)"       or zsh, tcsh
"""


class PrintCompletion(argparse.Action):
    """Prints a shell's completion script; shtab is imported only then."""

    def __call__(self, parser: argparse.ArgumentParser, _: object, value: Any,
                 option: str | None = None) -> None:
        import shtab

        print(shtab.complete(parser, shell=value))
        parser.exit(0)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that names the nearest word to a mistyped command or choice."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            import difflib

            near = difflib.get_close_matches(str(value), map(str, action.choices or ()), n=1)
            if near:
                error.message = f"`{value}` is unknown; did you mean `{near[0]}`?"
            raise


def parser() -> argparse.ArgumentParser:
    """The command line, with every command's help."""
    top = Parser(prog="aigc", description=DESCRIPTION, epilog=EXAMPLES,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--version", action="version", version=f"aigc {VERSION}")
    top.add_argument("--debug", action="store_true", help="show the traceback of an error (also "
                                                          "AIGC_DEBUG=1)")
    top.add_argument("--print-completion", action=PrintCompletion, choices=("bash", "zsh", "tcsh"),
                     metavar="SHELL", help="print a completion script for bash, zsh or tcsh")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        importlib.import_module(f"aigc.commands.{name}").add_parser(commands)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 an error (one line on stderr), 2 wrong usage."""
    process.start()
    arguments = argparse.Namespace(debug=False)

    def work() -> int:
        parser().parse_args(argv, arguments)
        root.enter(arguments)
        result: int = arguments.run(arguments)
        return result

    with process.terminating():
        return process.guarded(work, debug=lambda: bool(arguments.debug))


if __name__ == "__main__":
    sys.exit(main())
