"""`aigc deps`: writes into dvc.yaml the code deps of each stage and the plots of each method."""

import argparse
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

CODE = "      # Code, from the imports (`aigc deps` writes it):\n"
TAIL = "# DVC does not expand these over a matrix (`aigc deps` writes everything below this line).\n"
PER_METHOD = ("train", "generate", "evaluate")
ALL_METHODS = ("check", "report")  # stages that read the page of every method


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    deps = commands.add_parser(
        "deps", help="write into dvc.yaml which code each stage depends on, and the plots of each method",
        description="Read the imports of each stage and write them into dvc.yaml as its deps; write the "
                    "plots and artifacts of each method under `methods:`. With files, print which stages "
                    "run again when they change.")
    deps.add_argument("files", nargs="*", type=Path, metavar="FILE",
                      help="print the stages that depend on these files")
    deps.add_argument("--check", action="store_true", help="write nothing; exit 1 where dvc.yaml is not up "
                                                           "to date")
    deps.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from aigc.core import files
    from aigc.core.errors import ConfigError, GateError
    from aigc.workspace.paths import PIPELINE

    if arguments.files:
        for file in arguments.files:
            if not file.exists():
                raise ConfigError(f"{file}: no such file")
            print(f"{file}: {', '.join(stages_that_depend_on(file)) or 'no stage'}")
        return 0
    before = PIPELINE.read_text(encoding="utf-8")
    after = "".join(_with_code(before.partition(TAIL)[0])) + TAIL + _plots_and_artifacts()
    if arguments.check and after != before:
        raise GateError(f"{PIPELINE}: its code deps or plots are not up to date; run `aigc deps`")
    if after != before:
        files.write_bytes(PIPELINE, after.encode())
        print(f"{PIPELINE}: written", file=sys.stderr)
    return 0


def stages_that_depend_on(file: Path) -> list[str]:
    """The stages of dvc.yaml that depend on `file`; for a method's page, that method's stages."""
    from aigc.workspace.paths import PIPELINE

    path, found = os.path.relpath(file.resolve(), Path.cwd()), []
    page = re.fullmatch(r"src/aigc/methods/(\w+)\.py", path)
    pipeline = PIPELINE.read_text(encoding="utf-8")
    for name, block in re.findall(r"^  (\w+):\n((?:    .*\n|\n)+)", pipeline, re.MULTILINE):
        if f"      - {path}\n" in block:
            found.append(name)
        elif page and "      - src/aigc/methods/${item.method}.py\n" in block:
            found.append(f"{name}@{page[1]}")
    return found


def code_of(stage: str) -> list[str]:
    """The files of src that `stage` depends on, as dvc.yaml lists them."""
    from aigc import methods
    from aigc.core import code

    pages = {name: f"src/aigc/methods/{name}.py" for name in methods.available()}
    if stage not in (*PER_METHOD, *ALL_METHODS):
        return _listed(code.of_stage(stage).values())
    found = {path for name in pages for path in _listed(code.of_stage(stage, name).values())}
    if stage in PER_METHOD:
        found = (found - {*pages.values()}) | {"src/aigc/methods/${item.method}.py"}
    return sorted(found)


def _listed(paths: Iterable[Path]) -> list[str]:
    from aigc.core.code import SOURCE

    return sorted(f"src/{path.relative_to(SOURCE)}" for path in paths)


def _with_code(text: str) -> Iterator[str]:
    """The lines of dvc.yaml, with the code deps of each stage written anew."""
    stage, skipping = "", False
    for line in text.splitlines(keepends=True):
        if found := re.fullmatch(r"  (\w+):\n", line):
            stage = found[1]
        if skipping and line.startswith("      - "):
            continue
        skipping = line == CODE
        yield line
        if skipping:
            yield from (f"      - {path}\n" for path in code_of(stage))


def _plots_and_artifacts() -> str:
    """The sections `plots` and `artifacts`: the losses of each method's players, its pictures, its model."""
    from aigc import methods
    from aigc.core import config
    from aigc.model.contract import Shape

    names = config.methods()
    lines = ["plots:\n"]
    for name in names:
        players = methods.build(name, methods.load_config(name), Shape(1, 16, 2)).players()
        columns = ", ".join(f"loss/{player}" for player in players)
        lines += [f"  - {name} losses:\n", "      x: images\n",
                  f"      y: {{reports/plots/{name}/history.csv: [{columns}]}}\n", "      y_label: loss\n"]
    confusions = {"the evaluator": "evaluator"} | {f"{name} samples": name for name in names
                                                   if methods.method_class(name).conditional}
    for title, folder in confusions.items():
        lines += [f"  - confusion of {title}:\n", "      x: actual\n",
                  f"      y: {{reports/plots/{folder}/confusion.csv: predicted}}\n",
                  "      template: confusion\n"]
    lines += [f"  - reports/plots/{name}/{picture}.png\n"
              for name in names for picture in ("samples", "latents")]
    lines.append("\nartifacts:\n")
    described = {"evaluator": "The classifier whose features and classes FID and IS use."}
    for name, text in (described | {name: methods.summary(name) for name in names}).items():
        lines += [f"  {name}:\n", f"    path: models/{name}\n", "    type: model\n",
                  f"    desc: {_quoted(text)}\n"]
    return "".join(lines)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
