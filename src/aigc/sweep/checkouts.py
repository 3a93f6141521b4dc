"""The git worktrees of a sweep: one for what all trials share, and one for each trial, keyed by its settings.

All use DVC's cache of the checkout that started the sweep, so what they share is made once. A worktree that a
kill left behind is used again by the trial of the same settings, with its checkpoints.
"""

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from aigc.core import code, config, files, hashes, paths, process
from aigc.core.errors import AigcError, StorageError
from aigc.recipes import Recipe, Step, apply
from aigc.reproduction import checkout
from aigc.reproduction.comparison import ancestors
from aigc.sweep.space import Point, Space
from aigc.workspace import git, lockfile
from aigc.workspace.paths import LOCK, SWEEPS

A_DAY = 86400.0  # seconds to wait for who prepares the same thing
SHARED_STAGE = "reference"  # it and what it depends on is the same for all trials
DATA_STAGE = "preprocess"
JUDGED = ("check", "ingest", "validate", "preprocess", "evaluator", "reference")
OWN = ("train", "generate", "evaluate")  # stages of a method
UNJUDGED = ("train.watch", "data.licence", "data.attribution", "data.url")  # params that change no number
CONFIG = "[cache]\n    dir = {cache}\n    type = \"reflink,hardlink,copy\"\n"
CHECKOUT, READY, BASE = "checkout", "ready", "base"


def identity(space: Space, params: dict[str, Any]) -> dict[str, Any]:
    """What the numbers of a sweep depend on beside its space: params, code and libraries."""
    fixed = config.flatten({name: params[name] for name in ("runtime", "data", "validate", "preprocess",
                                                            "evaluator", "train", "generate", "evaluate",
                                                            "audit", space.method)})
    swept = {parameter.key for parameter in space.parameters}
    modules = {name: path for stage in (*JUDGED, *OWN)
               for name, path in code.of_stage(stage, space.method if stage in OWN else None).items()}
    return {"params": {key: value for key, value in fixed.items() if key not in {*swept, *UNJUDGED}},
            "code": {name.removeprefix("aigc."): sha256[:12]
                     for name, sha256 in code.hashes(modules).items()},
            "requirements": files.sha256(paths.REQUIREMENTS)[:12]}


def command(*words: str) -> list[str]:
    """The command line of `aigc WORDS` in a process that ends with this one."""
    return [sys.executable, "-m", "aigc.sweep.child", str(os.getpid()), *words]


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


class Checkouts:
    """Makes worktrees of HEAD with the uncommitted changes and the params.yaml that are there now."""

    def __init__(self, space: Space, identified: dict[str, Any]) -> None:
        self.space, self.identified = space, identified
        self.top = git.top()
        self.commit, self.patch = git.head(), git.uncommitted()
        if not self.commit:
            raise AigcError(f"{self.top}: no commit yet; a trial is a git worktree, so commit first")
        self.params = paths.PARAMS.read_bytes().decode()
        self.cache = checkout.ask_dvc(Path.cwd(), "cache", "dir").strip()
        self.folder = (SWEEPS / space.name).absolute()

    def place(self, point: Point) -> Path:
        """The folder of a trial. It keeps the results of its seeds when the worktree in it is gone."""
        return self.folder / hashes.short_digest([self.identified, self.data(), point])

    def data(self) -> str:
        """The hash of the processed data, once `prepare` has run."""
        content = lockfile.read_lock(self.folder / BASE)[DATA_STAGE]["outs"]
        return hashes.short_digest([out["md5"] for out in content])

    def prepare(self) -> None:
        """Make what all trials share, in a worktree of its own, unless a worker did it before."""
        place = self.folder / BASE
        stamp = hashes.short_digest([self.identified, self.commit])
        with process.only_writer(place / "lock", patience=A_DAY):
            if (place / READY).exists() and (place / READY).read_text() == stamp:
                return
            print(f"{self.space.name}: makes what all trials share (data, evaluator, reference)", flush=True)
            tree = self.make(place, with_shared=False)
            log = place / "log.txt"
            with log.open("wb") as stream:
                done = process.call(command("repro", SHARED_STAGE), cwd=tree, stdout=stream, stderr=stream,
                                    env=checkout.our_environment())
            if done.returncode:
                raise AigcError(f"what all trials share cannot be made: {process.reason(log.read_bytes())}")
            made = lockfile.entries((tree / LOCK).read_text(encoding="utf-8"))
            shared = [*ancestors(lockfile.read_lock(tree), SHARED_STAGE), SHARED_STAGE]
            text = lockfile.HEAD + "".join(lines for name, lines in made.items() if name in shared)
            files.write_bytes(place / LOCK, text.encode())
            files.write_bytes(place / READY, stamp.encode())
            self.remove(place)

    def make(self, place: Path, with_shared: bool = True) -> Path:
        """The worktree in `place`, made where it is missing or half-made. with_shared: with what `prepare`
        made.
        """
        tree, mark = place / CHECKOUT, place / "made"
        if mark.exists() and tree.is_dir():
            return tree
        place.mkdir(parents=True, exist_ok=True)
        self.remove(place)
        with process.only_writer(SWEEPS.absolute() / "worktrees.lock", patience=A_DAY):
            git.run("-C", str(self.top), "worktree", "add", "--quiet", "--detach", "--force", str(tree),
                    self.commit)
        if self.patch:
            git.run("-C", str(tree), "apply", "--binary", "--whitespace=nowarn", "-", stdin=self.patch)
        files.write_bytes(tree / paths.PARAMS, self.params.encode())
        files.write_bytes(tree / ".dvc/config.local", CONFIG.format(cache=self.cache).encode())
        self._link_data(tree)
        if with_shared:
            shutil.copyfile(self.folder / BASE / LOCK, tree / LOCK)
            checkout.ask_dvc(tree, "checkout", "--force", *lockfile.read_lock(tree))
        files.write_bytes(mark, b"")
        return tree

    def _link_data(self, tree: Path) -> None:
        """Give the worktree what git does not have, source pictures and parents: from DVC's cache, or by a
        link.
        """
        added = [str(path.relative_to(tree)) for folder in ("data", "models/parents")
                 for path in (tree / folder).glob("*.dvc")]
        if added:
            checkout.ask_dvc(tree, "checkout", *added)
        source = Path(config.read()["data"]["path"])
        is_here = source.is_absolute() or any(source.is_relative_to(Path(name).with_suffix(""))
                                              for name in added)
        places = [paths.DOWNLOADS, *([] if is_here else [source])]
        for place in places:
            here, there = Path.cwd() / place, tree / place
            if here.is_dir() and not (there.is_dir() and _names(here) <= _names(there)):
                shutil.rmtree(there, ignore_errors=True)
                there.symlink_to(here)

    def remove(self, place: Path) -> None:
        """Remove the worktree in `place`; the folder stays."""
        tree = place / CHECKOUT
        (place / "made").unlink(missing_ok=True)
        with process.only_writer(SWEEPS.absolute() / "worktrees.lock", patience=A_DAY):
            if tree.exists():
                # Twice --force: an interrupted `worktree add` leaves its worktree locked.
                with suppress(AigcError):
                    git.run("-C", str(self.top), "worktree", "remove", "--force", "--force", str(tree))
            shutil.rmtree(tree, ignore_errors=True)
            git.run("-C", str(self.top), "worktree", "prune")
        if tree.exists():
            raise StorageError(f"{tree}: cannot be removed; remove it by hand, then run again")

    def write_params(self, tree: Path, point: Point, seed: int) -> None:
        """Put a trial's settings into its params.yaml. Raises ConfigError where they contradict one another.
        """
        wanted = {**point, "train.seed": seed, "methods": [self.space.method]}
        text, _ = apply(Recipe(title=self.space.name, result="", steps=[Step(reason="", set=wanted)]),
                        self.params)
        files.write_bytes(tree / paths.PARAMS, text.encode())
