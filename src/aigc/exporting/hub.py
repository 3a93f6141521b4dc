"""A folder of an exported model, sent to a hub of Hugging Face's kind through huggingface_hub.

The token is huggingface_hub's affair (HF_TOKEN, or its own login); nothing here reads or prints it.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aigc.core.errors import AigcError, ConfigError, GateError
from aigc.exporting import facts as known
from aigc.exporting import folder as exported
from aigc.exporting.model_card import PAGE

if TYPE_CHECKING:
    from huggingface_hub import HfApi

    from aigc.core.runtime import RuntimeConfig

MISSING = "aigc publish needs huggingface_hub; pip install -e .[publish]"
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?")  # of an owner and of a model
REFUSED = {401: "set HF_TOKEN to a token that may write there", 402: "its owner must pay for it first",
           403: "set HF_TOKEN to a token that may write there, or choose another owner",
           404: "check --repo and HF_ENDPOINT", 429: "wait, then run again"}


def publish(method: str | None, name: str | None, repo: str, dry_run: bool, private: bool,
            switches: "RuntimeConfig") -> None:
    """Export the model with everything and send it to `repo`, as one commit.

    Raises GateError for a model that must not be published, ConfigError for a name that none can have,
    AigcError where the hub does not take it. A dry run calls no hub.
    """
    from aigc.provenance import lookup

    _check_name(repo)
    with lookup.trained(method, name) as place, tempfile.TemporaryDirectory(prefix="aigc-") as scratch:
        from aigc.model.card import read_card

        card = read_card(place)
        known.check_publishable(card, known.of_model(card))
        folder = Path(scratch)
        exported.write(place, folder, True, True, switches)
        files = sorted(folder.iterdir())
        for path in files:
            print(f"{path.name}  {path.stat().st_size:,} bytes")
        total = sum(path.stat().st_size for path in files)
        if dry_run:
            print(f"would be sent to {repo}: {len(files)} files, {total:,} bytes; nothing was sent")
            return
        address = _send(files, repo, card.sha256, private, f"aigc {card.method}, model {card.sha256[:16]}")
    print(f"{address}: {len(files)} files, {total:,} bytes")


def _check_name(repo: str) -> None:
    parts = repo.split("/")
    if len(parts) != 2 or "--" in repo or ".." in repo or not all(map(NAME.fullmatch, parts)):
        raise ConfigError("--repo must be OWNER/NAME, each of letters, digits, `-`, `_` and `.`, found "
                          f"`{repo}`")


def _send(files: list[Path], repo: str, model_sha256: str, private: bool, message: str) -> str:
    """The address of the commit. The hub gets all files or none."""
    try:
        from huggingface_hub import CommitOperationAdd, HfApi, constants, logging
    except ImportError:
        raise ConfigError(MISSING) from None
    logging.set_verbosity_error()  # it retries, and would say so each time
    api = HfApi(library_name="aigc")
    with _explained(repo, constants.ENDPOINT):
        parent = _head_of(api, repo, model_sha256)
        if parent is None:
            api.create_repo(repo, private=private or None, exist_ok=True)
        operations = [CommitOperationAdd(path.name, path) for path in files]
        done = api.create_commit(repo, operations, commit_message=message, parent_commit=parent)
    return str(done.commit_url)


def _head_of(api: "HfApi", repo: str, model_sha256: str) -> str | None:
    """The last commit of a model that is there already; None where there is none.

    Raises GateError where it is another model: its page lacks our model's hash.
    """
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        there = api.model_info(repo)
    except RepositoryNotFoundError:
        return None
    names = {sibling.rfilename for sibling in there.siblings or []} - {".gitattributes"}
    if not names:
        return str(there.sha) if there.sha else None
    with tempfile.TemporaryDirectory(prefix="aigc-") as scratch:
        page = Path(api.hf_hub_download(repo, PAGE, revision=there.sha, cache_dir=scratch)).read_text(
            encoding="utf-8", errors="replace") if PAGE in names else ""
    if model_sha256 not in page:
        raise GateError(f"{repo}: there is another model under this name (its {PAGE} does not name "
                        f"{model_sha256[:16]}); choose another --repo, or delete that one on the hub; "
                        "nothing was sent")
    return str(there.sha)


@contextmanager
def _explained(repo: str, endpoint: str) -> Iterator[None]:
    """Raises AigcError, one line, for what the hub or the way to it refuses."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError

    hub = urlsplit(endpoint).hostname or endpoint
    try:
        yield
    except HfHubHTTPError as error:
        status = error.response.status_code
        remedy = REFUSED.get(status, "wait, then run again" if status >= 500 else "see its answer on the hub")
        raise AigcError(f"{repo}: the hub {hub} refuses it (HTTP {status}); {remedy}; nothing was sent"
                        ) from error
    except (HTTPError, OSError) as error:
        raise AigcError(f"{repo}: the hub {hub} does not answer ({type(error).__name__}); check the network "
                        "and HF_ENDPOINT, then run again; nothing was sent") from error
    except (RuntimeError, ValueError) as error:  # of the upload of large files, and of a strange answer
        raise AigcError(f"{repo}: the hub {hub} did not take the files ({type(error).__name__}); run again; "
                        "nothing was published") from error
