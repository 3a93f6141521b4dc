"""A checkout of the project somewhere else, in which the pipeline is made again by that checkout's own code.

It has no DVC cache, no checkpoint and no dvc.lock but what it makes. It takes over only the pictures that
`dvc add` keeps out of git. It logs to the MLflow store of the checkout that started it.
"""

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import PIPE

from aigc.core import code, process
from aigc.core.errors import AigcError
from aigc.workspace import git

ELSEWHERE = ("PYTHONPATH", "DVC_ROOT", "DVC_STAGE", "DVC_EXP_NAME")
HERE = "where-it-started"  # the name, in the checkout, of the cache that its pictures come from


@contextmanager
def clone(keep: Path | None) -> Iterator[Path]:
    """A clone of HEAD in `keep` (which must not exist), or in a temporary folder that the end removes."""
    root = git.top()
    with _folder(keep) as folder:
        git.run("clone", "--quiet", "--no-hardlinks", str(root), str(folder))
        yield folder


@contextmanager
def worktree(commit: str, keep: Path | None) -> Iterator[Path]:
    """A git worktree at `commit`. Raises AigcError when the repository has no such commit."""
    root = git.top()
    if not commit or not git.has_commit(commit):
        fetch = "git fetch --unshallow" if git.is_shallow() else "git fetch"
        raise AigcError(f"commit {commit or '(none)'} is not in this repository; "
                        f"`{fetch}` it from where the run was made")
    with _folder(keep) as folder:
        try:
            git.run("-C", str(root), "worktree", "add", "--quiet", "--detach", str(folder), commit)
            yield folder
        finally:
            if not keep:
                # Twice --force: an interrupted `worktree add` leaves its worktree locked.
                with suppress(AigcError):
                    git.run("-C", str(root), "worktree", "remove", "--force", "--force", str(folder))


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep and keep.exists():
        raise AigcError(f"{keep}: exists; name a folder that does not")
    if keep:
        yield keep.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="aigc-", ignore_cleanup_errors=True) as temporary:
        yield Path(temporary) / "checkout"


def ask_dvc(folder: Path, *arguments: str) -> str:
    """What DVC answers in `folder`. Raises AigcError with DVC's own reason when it fails."""
    done = process.call([sys.executable, "-m", "dvc", *arguments], cwd=folder, env=environment(),
                        stdout=PIPE, stderr=PIPE)
    if done.returncode:
        raise AigcError(f"`dvc {' '.join(arguments)}` failed in {folder}: {process.reason(done.stderr)}")
    return os.fsdecode(done.stdout)


def environment() -> dict[str, str]:
    """This environment's programs first, and nothing that names another folder, repository or experiment."""
    kept = {name: value for name, value in git.environment().items() if name not in ELSEWHERE}
    return {**kept, "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])}


def our_environment() -> dict[str, str]:
    """`environment` for this program in another checkout: its code is ours, that of the stages the
    checkout's.
    """
    return {**environment(), "PYTHONPATH": str(code.SOURCE)}


def stages(folder: Path) -> list[str]:
    """The names of the stages that the dvc.yaml in `folder` has, as DVC expands it."""
    return ask_dvc(folder, "stage", "list", "--name-only").splitlines()


def remake(folder: Path, targets: Sequence[str] = ()) -> None:
    """`aigc repro --force` of `targets` (default: everything) and of all that they need, in `folder`.

    The stages use this environment's libraries and that folder's code (dvc.yaml's commands set PYTHONPATH);
    `aigc repro` itself is ours, since an older commit may have none. Its dvc.lock is removed first, so that
    afterwards it holds what was made and nothing else.
    """
    from aigc.tracking import store

    variables = {**our_environment(), "MLFLOW_TRACKING_URI": store.store_uri()}

    def run(program: str, *arguments: str, remedy: str = "") -> None:
        done = process.call([sys.executable, "-m", program, *arguments], cwd=folder, env=variables,
                            stdout=sys.stderr, preexec_fn=process.die_with_parent)
        if done.returncode:
            raise AigcError(f"`{program} {arguments[0]}` failed with exit code {done.returncode} in "
                            f"{folder}; its own message stands above{remedy}")

    listed = git.run("-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard",
                     "--", "*.dvc")
    if added := [name for name in listed.split("\0") if name and (folder / name).is_file()]:
        # A cache of DVC's has the layout of a remote; `verify` makes DVC hash what comes from it.
        cache = ask_dvc(git.top(), "cache", "dir").strip()
        run("dvc", "remote", "add", "--quiet", "--local", "--force", HERE, cache)
        run("dvc", "remote", "modify", "--quiet", "--local", HERE, "verify", "true")
        run("dvc", "pull", "--quiet", "--remote", HERE, *added,
            remedy=f"; `dvc pull {' '.join(added)}` here first")
    (folder / "dvc.lock").unlink(missing_ok=True)
    run("aigc", "repro", "--force", *targets)
