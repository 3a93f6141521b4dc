"""What git says of the checkout around the current folder. Where git refuses, its own message is shown."""

import os
import re
from pathlib import Path
from subprocess import PIPE

from aigc.core import process
from aigc.core.errors import AigcError

DIFF = ("diff", "--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--no-relative",
        "--submodule=short", "--src-prefix=a/", "--dst-prefix=b/")
SOURCES = ("src", "*.py", "*.yaml", "*.toml", "*.lock", "*.html", "*.css", "*.dvc")  # as git's pathspecs
MOST_BYTES = 1 << 20  # of one untracked source file
# Variables that git may keep. The others, which a hook sets, name a repository, an index or pathspec rules.
HARMLESS = ("GIT_CONFIG", "GIT_SSH", "GIT_SSL", "GIT_EXEC_PATH", "GIT_TEMPLATE_DIR", "GIT_DISCOVERY",
            "GIT_CEILING", "GIT_ASKPASS", "GIT_TEST")
# Messages in English, and no questions.
PLAIN = {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
NO_COMMIT_YET = "does not have any commits yet"
DUBIOUS = re.compile(r"dubious ownership in repository at ('.*')")


def environment() -> dict[str, str]:
    """This environment without the variables that make git use another repository, index or pathspec."""
    return {name: value for name, value in os.environ.items()
            if not name.startswith("GIT_") or name.startswith(HARMLESS)}


def ask(*arguments: str, stdin: bytes | None = None, accepted: tuple[int, ...] = (0,)) -> bytes:
    """What git prints. Raises AigcError when it cannot be started or its exit code is not accepted."""
    try:
        done = process.call(["git", *arguments], stdin, env={**environment(), **PLAIN},
                            stdout=PIPE, stderr=PIPE)
    except OSError as error:
        raise AigcError(f"git cannot be started ({error.strerror}); install it, or put it on PATH") from None
    if done.returncode not in accepted:
        reason = process.reason(done.stderr)
        if foreign := DUBIOUS.search(reason):
            reason += f"; if you trust it: git config --global --add safe.directory {foreign[1]}"
        raise AigcError(f"`git {' '.join(arguments[:5])}` failed: {reason}")
    return done.stdout


def run(*arguments: str, stdin: bytes | None = None) -> str:
    """What git prints, as text. Raises AigcError as `ask` does."""
    return os.fsdecode(ask(*arguments, stdin=stdin))


def is_repository() -> bool:
    """Whether there is a git repository around the current folder. Raises AigcError where git cannot look."""
    try:
        run("rev-parse", "--git-dir")
    except AigcError:
        if _marked() is None:
            return False
        raise
    return True


def _marked() -> Path | None:
    """The nearest .git, here or above, whether git accepts it or not; None where there is none."""
    here = Path.cwd()
    places = (folder / ".git" for folder in (here, *here.parents))
    return next((place for place in places if os.path.lexists(place)), None)


def top() -> Path:
    """The root of the repository around the current folder. Raises AigcError where there is none."""
    try:
        return Path(run("rev-parse", "--show-toplevel").rstrip("\n"))
    except AigcError as error:
        raise AigcError(f"{Path.cwd()}: run in a clone of the project ({error})") from None


def head() -> str:
    """The commit that is checked out; "" before the first one. Raises AigcError where git cannot read it."""
    try:
        return run("log", "-1", "--no-show-signature", "--no-color", "--format=%H").strip()
    except AigcError as error:
        if NO_COMMIT_YET in str(error):
            return ""
        raise


def has_commit(commit: str) -> bool:
    """Whether the repository holds `commit`. Raises AigcError where git cannot look."""
    return bool(ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}",
                    accepted=(0, 1)))


def is_shallow() -> bool:
    """Whether the repository holds only the newest part of its history."""
    return run("rev-parse", "--is-shallow-repository").strip() == "true"


def committed(path: Path) -> bytes | None:
    """The content of `path` at HEAD; None where it is not there. Raises AigcError where git cannot look."""
    if not is_repository() or not head() or not run("ls-tree", "--name-only", "HEAD", "--", str(path)):
        return None
    return ask("cat-file", "blob", f"HEAD:./{path}")


def uncommitted() -> bytes:
    """The difference between HEAD and the working tree as a patch (b"" when clean), with untracked sources.

    Left out: untracked files of other kinds, over MOST_BYTES, or in a folder of the root that git does not
    track.
    Raises AigcError where git cannot look.
    """
    # Before the first commit, all is compared with the empty tree.
    before = head() or run("hash-object", "-t", "tree", "/dev/null").strip()
    tracked = {name.partition("/")[0] for name in run("ls-files", "-z").split("\0")}
    others = run("ls-files", "-z", "--others", "--exclude-standard", "--", *SOURCES).split("\0")
    untracked = [name for name in others if Path(name).is_file() and Path(name).stat().st_size <= MOST_BYTES
                 and ("/" not in name or name.partition("/")[0] in tracked)]
    # Exit code 1 says only that there is a difference.
    added = [ask(*DIFF, "--no-index", "/dev/null", name, accepted=(0, 1)) for name in untracked]
    return b"".join([ask(*DIFF, before), *added])
