"""A checkout of the project somewhere else, in which the pipeline is made again by that checkout's own code.

It has no cache of DVC's, no checkpoint and no lock but what it makes, so that nothing in it is inherited but the pictures that
`dvc add` keeps out of git; it logs to the MLflow store of the checkout that started it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from aigc.core import process
from aigc.core.errors import AigcError
from aigc.workspace import git

HERE = "where-it-started"  # the name, in the checkout, of the cache that its pictures come from


@contextmanager
def clone(keep: Path | None) -> Iterator[Path]:
    """A clone of HEAD in `keep` (which must not exist), or in a temporary folder that goes when the block ends."""
    with _folder(keep) as folder:
        git.run("clone", "--quiet", "--no-hardlinks", str(git.top()), str(folder))
        yield folder


@contextmanager
def worktree(commit: str, keep: Path | None) -> Iterator[Path]:
    """A git worktree at `commit`, which need not be on any branch. Raises AigcError when the repository has no such commit."""
    root = git.top()
    if not git.has_commit(commit):
        raise AigcError(f"commit {commit or '(none)'} is not in this repository; `git fetch` it from where the run was made")
    with _folder(keep) as folder:
        git.run("-C", str(root), "worktree", "add", "--quiet", "--detach", str(folder), commit)
        try:
            yield folder
        finally:
            if not keep:
                git.run("-C", str(root), "worktree", "remove", "--force", str(folder))


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep and keep.exists():
        raise AigcError(f"{keep}: exists; name a folder that does not")
    folder = keep.absolute() if keep else Path(tempfile.mkdtemp(prefix="aigc-")) / "checkout"
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder.parent, ignore_errors=True)


def ask_dvc(folder: Path, *arguments: str) -> str:
    """What DVC answers in `folder`. Raises AigcError with DVC's own last line when it fails."""
    done = subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no message"]
        raise AigcError(f"`dvc {' '.join(arguments)}` failed in {folder}: {said[-1]}")
    return done.stdout


def stages(folder: Path) -> list[str]:
    """The names of the stages that the dvc.yaml in `folder` has, as DVC expands it."""
    return ask_dvc(folder, "stage", "list", "--name-only").splitlines()


def remake(folder: Path, targets: Sequence[str] = ()) -> None:
    """`dvc repro --force` of `targets` (default: everything) and of all that they need, in `folder`.

    This environment's libraries, that folder's code (dvc.yaml's commands set PYTHONPATH). Its dvc.lock is dropped first, so that
    afterwards it tells of what was made and of nothing else.
    """
    from aigc.tracking import store

    python = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{python}{os.pathsep}{os.environ['PATH']}", "MLFLOW_TRACKING_URI": store.store_uri()}
    for name in ("PYTHONPATH", "DVC_ROOT", "DVC_STAGE", "DVC_EXP_NAME"):
        environment.pop(name, None)

    def dvc(*arguments: str, remedy: str = "") -> None:
        done = subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=folder, env=environment, check=False, stdout=sys.stderr,
                              preexec_fn=process.die_with_parent)
        if done.returncode:
            raise AigcError(f"`dvc {arguments[0]}` failed with exit code {done.returncode} in {folder}; its own message stands above{remedy}")

    listed = git.run("-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.dvc")
    if added := [name for name in listed.split("\0") if name and (folder / name).is_file()]:
        # DVC's cache is laid out as a remote is; `verify` has what comes from it hashed again.
        dvc("remote", "add", "--quiet", "--local", "--force", HERE, ask_dvc(git.top(), "cache", "dir").strip())
        dvc("remote", "modify", "--quiet", "--local", HERE, "verify", "true")
        dvc("pull", "--quiet", "--remote", HERE, *added, remedy=f"; `dvc pull {' '.join(added)}` here first")
    (folder / "dvc.lock").unlink(missing_ok=True)
    dvc("repro", "--force", *targets)
