"""`aigc use RECIPE`: change params.yaml by a recipe, a small patch with a reason for each key.

Comments, order and the blocks under `shared` of params.yaml stay as they are.
"""

import argparse
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aigc.recipes import Recipe

MOST_ALIGNED = 32  # characters of two values; longer ones move their reason to the right


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    use = commands.add_parser(
        "use", help="change params.yaml by a recipe: other data, a GPU, a quick run",
        description="Change params.yaml by recipes/RECIPE.yaml. Without RECIPE: list the recipes. Shows each "
                    "key that changes, with its old value, its new value and the reason, and asks before it "
                    "writes. `aigc use digits` sets the defaults of every key that a recipe changes; `git "
                    "checkout params.yaml` undoes all changes since the last commit.")
    use.add_argument("recipe", nargs="?", metavar="RECIPE", help="a name of the list")
    use.add_argument("--yes", action="store_true", help="write without asking")
    use.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from aigc import recipes

    if arguments.recipe is None:
        titles = {name: recipes.read(name).title for name in recipes.names()}
        width = max(map(len, titles), default=0)
        print("\n".join(f"{name:<{width}}  {title}" for name, title in titles.items()))
        return 0
    return put(arguments.recipe, recipes.read(arguments.recipe), arguments.yes)


def put(name: str, recipe: "Recipe", is_agreed: bool,
        around: AbstractContextManager[None] | None = None) -> int:
    """Show what `recipe` changes, ask unless it is agreed, and write params.yaml. Returns the exit code.

    around: what else is done, once it is agreed; params.yaml is written in its block.
    """
    from aigc import recipes
    from aigc.core import files, paths, process

    text, changes = recipes.apply(recipe)
    print(f"{name}: {recipe.title}\nresult: {recipe.result}")
    if not changes:
        with around or nullcontext():
            print(f"{paths.PARAMS} already has every value of this recipe; nothing to change")
        return 0
    print(f"\n{_table(changes)}\n")
    if not is_agreed:
        if not sys.stdin.isatty():
            print(f"error: {paths.PARAMS} is not changed: there is no terminal to ask on; add --yes to write",
                  file=sys.stderr)
            return process.USAGE_EXIT_CODE
        if not _agrees(f"Write {paths.PARAMS}? [y/N] "):
            print(f"{paths.PARAMS} is not changed")
            return 1
    with around or nullcontext():
        files.write_bytes(paths.PARAMS, text.encode())
    print(f"{paths.PARAMS}: {len(changes)} keys changed; `git checkout {paths.PARAMS}` undoes it, "
          "`make repro` runs it")
    return 0


def _agrees(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        print()
        return False


def _table(changes: list[Any]) -> str:
    """One line a key: name, old value, new value, reason."""
    rows = [(change.key, f"{change.before} -> {change.after}", change.reason) for change in changes]
    key_width, value_width = (max(len(row[column]) for row in rows) for column in (0, 1))
    value_width = min(value_width, MOST_ALIGNED)
    return "\n".join(f"  {key:<{key_width}}  {values:<{value_width}}  {reason}"
                     for key, values, reason in rows)
