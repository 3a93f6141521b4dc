"""What git says of the checkout around the current folder. Where git refuses to answer, its own message is shown."""

import subprocess
from pathlib import Path

from aigc.core.errors import AigcError

DIFF = ("diff", "--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/")
SOURCES = ("src", "*.py", "*.yaml", "*.toml", "*.lock", "*.html", "*.css", "*.dvc")  # as git's pathspecs
MOST_BYTES = 1 << 20  # of one untracked source file


def run(*arguments: str, stdin: bytes | None = None) -> str:
    """What git prints. Raises AigcError with git's own message when it fails or is not installed."""
    try:
        done = subprocess.run(["git", *arguments], input=stdin, capture_output=True, check=False)
    except OSError as error:
        raise AigcError(f"git cannot be started ({error.strerror}); install it") from None
    if done.returncode:
        said = [line.strip() for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        raise AigcError(f"`git {' '.join(arguments[:5])}` failed: {' '.join(said) or 'no message'}")
    return done.stdout.decode(errors="surrogateescape")


def is_repository() -> bool:
    """Whether there is a git repository around the current folder. Raises AigcError where git refuses to look at it."""
    try:
        run("rev-parse", "--git-dir")
    except AigcError as error:
        if "not a git repository" in str(error) or "cannot be started" in str(error):
            return False
        raise
    return True


def top() -> Path:
    """The root of the repository around the current folder. Raises AigcError where there is none."""
    try:
        return Path(run("rev-parse", "--show-toplevel").rstrip("\n"))
    except AigcError as error:
        raise AigcError(f"{Path.cwd()}: run in a clone of the project ({error})") from None


def head() -> str:
    """The commit that is checked out; "" where there is none yet."""
    try:
        return run("rev-parse", "--verify", "--quiet", "HEAD").strip()
    except AigcError:
        return ""


def has_commit(commit: str) -> bool:
    """Whether the repository holds `commit`."""
    try:
        run("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
    except AigcError:
        return False
    return True


def committed(path: Path) -> bytes | None:
    """The content of `path` at HEAD; None where HEAD has no such file. Raises AigcError where git refuses to look."""
    if not is_repository() or not head() or not run("ls-tree", "--name-only", "HEAD", "--", str(path)):
        return None
    return subprocess.run(["git", "show", f"HEAD:./{path}"], capture_output=True, check=True).stdout


def uncommitted() -> bytes:
    """The difference between HEAD and the working tree, untracked source files included, as a patch (b"" when clean).

    Left out: untracked files of other kinds, over MOST_BYTES, or in a folder of the root in which git tracks nothing.
    Raises AigcError where git refuses to look.
    """
    tracked = run("ls-tree", "-z", "--name-only", "HEAD").split("\0") if head() else []
    untracked = [name for name in run("ls-files", "-z", "--others", "--exclude-standard", "--", *SOURCES).split("\0")
                 if Path(name).is_file() and Path(name).stat().st_size <= MOST_BYTES
                 and ("/" not in name or name.partition("/")[0] in tracked)]
    commands = [[*DIFF, "HEAD"]] if head() else []
    commands += [[*DIFF, "--no-index", "/dev/null", name] for name in untracked]
    # Exit code 1 says only that there is a difference.
    return b"".join(subprocess.run(["git", *command], capture_output=True, check=False).stdout for command in commands)
