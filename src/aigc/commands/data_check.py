"""`aigc data`: `check` says what the pipeline makes of some pictures, `use` fits params.yaml to them."""

import argparse
from pathlib import Path

from aigc.commands import options

PATH_HELP = ("a folder of pictures (a sub-folder a class), a .csv table of paths and labels, a .npy array, "
             "or a folder with IDX files, images.npy or CIFAR-10's archive")


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    data = commands.add_parser("data", help="look at pictures before they are trained on",
                               description="What concerns the pictures that go in. `aigc data use PATH` "
                                           "fits params.yaml to a folder, a table or an array of your own. "
                                           "`aigc data check PATH` says whether they would get through the "
                                           "pipeline as it is set, and changes nothing.")
    actions = data.add_subparsers(title="commands", metavar="COMMAND", required=True)
    check = actions.add_parser(
        "check", help="say what the pipeline would make of PATH",
        description="Run ingest and validation alone on PATH, under the thresholds of params.yaml, and say "
                    "what they would do: which pictures are used, which are quarantined and why, which "
                    "expectations fail or warn. Nothing in the project changes. Exit 0: ready to train "
                    "(warnings allowed); 1: not.")
    check.add_argument("path", type=Path, metavar="PATH", help=PATH_HELP)
    check.set_defaults(run=run)
    use = actions.add_parser(
        "use", help="fit params.yaml to the pictures at PATH",
        description="Read the pictures at PATH, and fit params.yaml to them: source, size, channels, splits, "
                    "sample size, thresholds of the gate, methods, lengths. Shows each key that changes with "
                    "the reason, and asks before it writes. `make repro` then leads to the report. The "
                    "pictures stay where they are, unless --copy brings them into the project.")
    use.add_argument("path", type=Path, metavar="PATH", help=PATH_HELP)
    use.add_argument("--size", type=int, metavar="N",
                     help="pixels a side: a multiple of 8 from 16 to 512, or 28 (default: at most 32)")
    where = use.add_mutually_exclusive_group()
    where.add_argument("--copy", action="store_true",
                       help="copy the pictures to data/NAME, under DVC; git gets data/NAME.dvc")
    where.add_argument("--link", action="store_true",
                       help="make data/NAME a link to the pictures, so that params.yaml names no place "
                            "outside the project; neither git nor DVC keeps them")
    use.add_argument("--name", metavar="NAME",
                     help="of the folder below data/ (default: that of PATH); with --copy or --link")
    use.add_argument("--yes", action="store_true", help="write without asking")
    use.set_defaults(run=run_use)


def run(arguments: argparse.Namespace) -> int:
    from aigc.core import config, process

    options.capped_arithmetic()
    from aigc import methods
    from aigc.data import check

    return check.run(arguments.path, process.cores(), lambda: methods.needing_classes(config.methods()))


def run_use(arguments: argparse.Namespace) -> int:
    from aigc.commands import use
    from aigc.core import process
    from aigc.core.errors import ConfigError

    options.capped_arithmetic()
    from aigc.data import adopting, fitting

    is_adopted = arguments.copy or arguments.link
    if arguments.name is not None and not is_adopted:
        raise ConfigError("--name is that of a folder below data/: add --copy or --link")
    place = adopting.place_for(arguments.path, arguments.name) if is_adopted else None
    text, recipe, data = fitting.fit(arguments.path, process.cores(), arguments.size, place)
    print(text)
    if place is None:
        return use.put("settings", recipe, arguments.yes)
    adopted = adopting.copied if arguments.copy else adopting.linked
    code = use.put("settings", recipe, arguments.yes, adopted(data, place))
    if code == 0:
        undone = f"dvc remove --outs {place}.dvc" if arguments.copy else f"rm {place}"
        kept = f"DVC keeps them, and git has {place}.dvc" if arguments.copy else "git ignores it"
        print(f"{place}: {'a copy of' if arguments.copy else 'a link to'} the pictures; {kept}; "
              f"`{undone}` undoes it")
    return code
