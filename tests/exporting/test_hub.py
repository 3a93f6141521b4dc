"""`aigc publish`, against a stand-in of the hub: what is sent, and what never is."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from aigc.exporting.hub import MISSING
from aigc.model.card import WEIGHTS, read_card
from hubs import Hub, running
from projects import ROOT, Run, run_in
from small import ORIGIN, small_model, write_metrics
from stores import CODE

TOKEN = "hf_stays_a_secret"
REPO = "ann/digits"
PATTERN = "/{repo_id}/resolve/{revision}/{filename}"  # of a file on the hub
SENT = ["README.md", "config.json", "decoder.onnx", "load_onnx.py", WEIGHTS, "samples.png"]


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running() as started:
        yield started


@pytest.fixture
def home(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with an evaluated model; huggingface_hub calls the stand-in, which has no Xet storage."""
    monkeypatch.setattr(constants, "ENDPOINT", hub.address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.address + PATTERN)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    small_model(tmp_path / "models", "gan")
    write_metrics(tmp_path, "gan")
    return tmp_path


def refusal(home: Path, aigc: Run, *words: str) -> str:
    """The one line that a refused publication gives."""
    done = aigc(home, "publish", "gan", "--repo", REPO, *words, check=False)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and TOKEN not in done.stderr + done.stdout
    return done.stderr


def test_the_folder_is_sent_as_one_commit_with_the_token_of_the_environment(tmp_path: Path, hub: Hub) -> None:
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    small_model(tmp_path / "models", "gan")
    write_metrics(tmp_path, "gan")
    done = run_in(tmp_path, sys.executable, "-m", "aigc", "publish", "gan", "--repo", REPO, HF_TOKEN=TOKEN,
                  HF_ENDPOINT=hub.address, HF_HUB_DISABLE_XET="1", HF_HOME=str(tmp_path / "cache"), **CODE)
    sent = hub.repositories[REPO]
    assert sorted(sent.keys() - {".gitattributes"}) == sorted(SENT)
    assert sent[WEIGHTS] == (tmp_path / "models/gan" / WEIGHTS).read_bytes()
    assert hub.tokens <= {f"Bearer {TOKEN}", ""} and sum("/commit/" in one for one in hub.asked) == 1
    assert done.stdout.splitlines()[-1].startswith(f"{hub.address}/{REPO}/commit/")
    assert TOKEN not in done.stdout + done.stderr


def test_the_same_model_can_be_sent_again(home: Path, aigc: Run, hub: Hub) -> None:
    aigc(home, "publish", "gan", "--repo", REPO)
    before = dict(hub.repositories[REPO])
    aigc(home, "publish", "gan", "--repo", REPO)
    assert hub.repositories[REPO] == before and sum("/repos/create" in one for one in hub.asked) == 1


def test_a_dry_run_shows_what_would_be_sent_and_calls_nobody(home: Path, aigc: Run, hub: Hub) -> None:
    said = aigc(home, "publish", "gan", "--repo", REPO, "--dry-run").stdout
    size = (home / "models/gan" / WEIGHTS).stat().st_size
    assert f"{WEIGHTS}  {size:,} bytes" in said and all(f"{name}  " in said for name in SENT)
    assert said.splitlines()[-1].startswith(f"would be sent to {REPO}: {len(SENT)} files, ")
    assert not hub.asked


def test_an_empty_repository_of_that_name_is_filled(home: Path, aigc: Run, hub: Hub) -> None:
    hub.repositories[REPO] = {".gitattributes": b""}
    aigc(home, "publish", "gan", "--repo", REPO)
    assert sorted(hub.repositories[REPO].keys() - {".gitattributes"}) == sorted(SENT)


@pytest.mark.parametrize("there", [{"README.md": b"# somebody's"}, {"pytorch_model.bin": b"1"}])
def test_another_model_under_the_name_is_left_alone(home: Path, aigc: Run, hub: Hub,
                                                    there: dict[str, bytes]) -> None:
    hub.repositories[REPO] = dict(there)
    assert refusal(home, aigc) == (
        f"error: {REPO}: there is another model under this name (its README.md does not name "
        f"{read_card(home / 'models/gan').sha256[:16]}); choose another --repo, or delete that one on the "
        "hub; nothing was sent\n")
    assert hub.repositories[REPO] == there and not any(one.startswith("P") for one in hub.asked)


@pytest.mark.parametrize(("status", "remedy"), [
    (401, "set HF_TOKEN to a token that may write there"),
    (403, "set HF_TOKEN to a token that may write there, or choose another owner"),
    (500, "wait, then run again"),
])
def test_a_hub_that_refuses_is_one_line(home: Path, aigc: Run, hub: Hub, status: int, remedy: str) -> None:
    hub.status = status
    assert refusal(home, aigc) == (
        f"error: {REPO}: the hub 127.0.0.1 refuses it (HTTP {status}); {remedy}; nothing was sent\n")
    assert not hub.repositories


def test_a_hub_that_does_not_answer_is_one_line(home: Path, aigc: Run, hub: Hub,
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert refusal(home, aigc) == (
        f"error: {REPO}: the hub 127.0.0.1 does not answer (ConnectError); check the network and "
        "HF_ENDPOINT, then run again; nothing was sent\n")


def test_a_model_that_failed_its_audit_is_not_sent(home: Path, aigc: Run, hub: Hub) -> None:
    write_metrics(home, "gan", passes=False)
    assert refusal(home, aigc).startswith("error: gan: failed its memorization audit")
    assert refusal(home, aigc, "--dry-run") and not hub.asked


def test_a_model_without_an_audit_is_not_sent(home: Path, aigc: Run, hub: Hub) -> None:
    small_model(home / "models", "gan", seed=1)  # the numbers are of the other one
    assert refusal(home, aigc) == ("error: gan: no memorization audit of this model is on record; `dvc repro "
                                   "evaluate@gan` makes one; not published\n")
    assert not hub.asked


def test_a_model_whose_pictures_state_no_licence_is_not_sent(home: Path, aigc: Run, hub: Hub) -> None:
    small_model(home / "models", "gan", origin={**ORIGIN, "licence": ""})
    write_metrics(home, "gan")
    assert refusal(home, aigc) == (
        "error: gan: its training pictures state no licence; set `data.licence` in params.yaml and run `dvc "
        "repro`: its card then states it; not published\n")
    assert not hub.asked


@pytest.mark.parametrize("name", ["digits", "a/b/c", "ann/", "ann/-x", "ann/a b", "https://huggingface.co/a/b"])
def test_a_name_that_no_model_can_have_is_one_line(home: Path, aigc: Run, hub: Hub, name: str) -> None:
    done = aigc(home, "publish", "gan", "--repo", name, check=False)
    assert done.returncode == 1 and done.stderr.startswith("error: --repo must be OWNER/NAME")
    assert not hub.asked


def test_a_library_that_is_not_installed_is_one_line(home: Path, aigc: Run, hub: Hub,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert refusal(home, aigc) == f"error: {MISSING}\n" and not hub.asked

