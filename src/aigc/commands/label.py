"""`aigc label check`: which labels pictures bear, ours or anybody's, and which are missing."""

import argparse
from pathlib import Path

from aigc.commands import options

KINDS = ("implicit", "explicit", "signature")


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    label = commands.add_parser("label", help="the labels of AI-generated pictures",
                                description="What concerns the labels of AI-generated pictures: see "
                                            "docs/labels.md.")
    actions = label.add_subparsers(title="commands", metavar="COMMAND", required=True)
    check = actions.add_parser(
        "check", help="say which labels pictures bear and which are missing",
        description="Read any pictures, of this project or not, and say which labels they bear: "
                    "implicit (GB 45438-2025 in the XMP packet, and IPTC's source type), explicit (the "
                    "visible mark of this project; that of another program is not recognised), signature "
                    "(C2PA). Exit 0: each picture bears those that are needed; 3: one is missing; 4: one is "
                    "there and is not valid; 1: a file is no picture.")
    check.add_argument("images", nargs="+", type=Path, metavar="FILE", help="PNG, JPEG, WebP or GIF files")
    check.add_argument("--need", action="append", choices=KINDS,
                       help="a label that each picture must bear; may be given again (default: all three)")
    options.add_trust(check)
    check.add_argument("--json", action="store_true", help="print what was found as JSON")
    check.set_defaults(run=run, needs_project=False)


def run(arguments: argparse.Namespace) -> int:
    from aigc.provenance import label_check

    return label_check.run(arguments.images, arguments.need or KINDS, arguments.trust, arguments.json)
