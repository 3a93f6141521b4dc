"""A training from a trained model, through the command and the DAG: what is made, recorded and refused."""

import json
from pathlib import Path

import pytest

from aigc.core import files
from aigc.model.card import read_card
from aigc.training.parent import name_of
from projects import Run, run_in
from stores import client_of


def parent_of(project: Path) -> str:
    return name_of(read_card(project / "models/gan"))


def state(project: Path) -> tuple[str, str, list[str]]:
    """params.yaml, what git sees, and what lies below models."""
    return ((project / "params.yaml").read_text(), run_in(project, "git", "status", "--porcelain").stdout,
            sorted(str(path) for path in (project / "models").rglob("*")))


def shortened(project: Path) -> None:
    """A tenth of the pictures."""
    text = (project / "params.yaml").read_text()
    head, _, gan = text.partition("\ngan:")
    (project / "params.yaml").write_text(head + "\ngan:" + gan.replace("images: 3000", "images: 320", 1))


def test_from_a_trained_model_to_its_child_and_its_record(aigc: Run, project: Path) -> None:
    old, parent = read_card(project / "models/gan"), parent_of(project)
    said = aigc(project, "init-from", "gan").stdout
    assert f"gan.init_from: '' -> {parent}" in said and f"models/parents/{parent}.dvc" in said
    shown = run_in(project, "git", "status", "--porcelain").stdout.split("\n")
    assert sorted(filter(None, shown)) == [" M params.yaml", "A  models/parents/.gitignore",
                                           f"A  models/parents/{parent}.dvc"]
    shortened(project)
    told = run_in(project, "dvc", "repro", "evaluate@gan").stderr
    assert f"gan: starts from the model {parent}" in told
    child = read_card(project / "models/gan")
    assert child.ancestors == [old.sha256] and child.data_sha256 == old.data_sha256
    runs = client_of(project).search_runs(
        [client_of(project).get_experiment_by_name("aigc").experiment_id],
        f"params.init_from = '{parent}' and tags.`aigc.parent` = '{parent}'")
    assert [run.data.tags["aigc.card_sha256"] for run in runs] == [child.sha256]
    assert "Data and pipelines are up to date" in run_in(project, "dvc", "status").stdout or json.loads(
        run_in(project, "dvc", "status", "--json", "train@gan").stdout) == {}
    fid = files.read_json(project / "reports/metrics/gan.json")["fid"]["value"]
    assert aigc(project, "init-from", "gan").returncode == 0  # the child becomes the parent of the next
    run_in(project, "dvc", "repro", "train@gan")
    assert read_card(project / "models/gan").ancestors == [child.sha256, old.sha256]
    assert fid > 0
    aigc(project, "init-from", "--none", "gan")
    run_in(project, "dvc", "repro", "train@gan")
    assert read_card(project / "models/gan").ancestors == []


def test_a_clone_gets_the_parent_from_dvc_and_without_it_stops_with_the_remedy(
        aigc: Run, project: Path, tmp_path: Path) -> None:
    parent = parent_of(project)
    aigc(project, "init-from", "models/gan")
    shortened(project)
    run_in(project, "dvc", "repro", "train@gan")
    run_in(project, "git", "add", "-A")
    run_in(project, "git", "commit", "-qm", "a child")
    run_in(project, "dvc", "remote", "add", "-d", "here", str(tmp_path / "remote"))
    run_in(project, "dvc", "push", "-q")
    run_in(tmp_path, "git", "clone", "-q", str(project), "clone")
    clone = tmp_path / "clone"
    run_in(clone, "dvc", "remote", "add", "-d", "here", str(tmp_path / "remote"))
    run_in(clone, "dvc", "pull", "-q", "data/processed/train")
    done = run_in(clone, "dvc", "repro", "--single-item", "--no-run-cache", "--force", "train@gan",
                  check=False)
    assert done.returncode and f"models/parents/{parent}: missing, though `init_from` names it" in done.stderr
    assert f"`dvc pull models/parents/{parent}.dvc`" in done.stderr and "Traceback" not in done.stderr
    run_in(clone, "dvc", "pull", "-q")
    made = read_card(clone / "models/gan")
    run_in(clone, "dvc", "repro", "--single-item", "--no-run-cache", "--force", "train@gan")
    assert read_card(clone / "models/gan") == made  # the same bytes


@pytest.mark.parametrize(("edit", "words", "why"), [
    ("gan:\n", ["gan"], "`gan.width` is 256 there, 64 here"),
    ("", ["gna"], "unknown method `gna`"),
    ("", ["models/reference"], "models/reference"),
    ("", ["models:/nobody@champion"], "nobody"),
    ("", [], "name a MODEL, or --none METHOD"),
    ("", ["--none", "gna"], "gna"),
])
def test_what_cannot_be_a_parent_is_one_line_and_nothing_is_changed(aigc: Run, project: Path, edit: str,
                                                                   words: list[str], why: str) -> None:
    if edit:
        text = (project / "params.yaml").read_text()
        head, _, gan = text.partition(f"\n{edit}")
        (project / "params.yaml").write_text(f"{head}\n{edit}" + gan.replace("width: 256", "width: 64", 1))
    before = state(project)
    done = aigc(project, "init-from", *words, check=False)
    assert done.returncode in (1, 2) and why in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.strip().splitlines()) <= 1
    assert state(project) == before


def test_a_name_that_was_written_by_hand_is_checked(aigc: Run, project: Path) -> None:
    text = (project / "params.yaml").read_text()
    for value, why in (("models:/aigc@champion", "`gan.init_from`"), ("0123456789abcdef", "missing, though")):
        head, _, gan = text.partition("\ngan:\n")
        (project / "params.yaml").write_text(f"{head}\ngan:\n  init_from: {value}\n{gan}")
        done = run_in(project, "dvc", "repro", "train@gan", check=False)
        assert done.returncode and why in done.stderr, done.stderr


@pytest.mark.slow
def test_an_experiment_in_a_folder_of_its_own_and_reproduce_find_the_parent(aigc: Run, project: Path) -> None:
    aigc(project, "init-from", "gan")
    shortened(project)
    run_in(project, "git", "add", "-A")
    run_in(project, "git", "commit", "-qm", "a child")
    run_in(project, "dvc", "exp", "run", "--temp", "-n", "other", "-S", "gan.decay=0.4")
    run_in(project, "dvc", "exp", "apply", "other")
    assert read_card(project / "models/gan").ancestors
    assert read_card(project / "models/gan").config["decay"] == 0.4


@pytest.mark.slow
def test_several_processes_and_a_sweep_start_from_the_parent_too(aigc: Run, project: Path) -> None:
    parent = parent_of(project)
    aigc(project, "init-from", "gan")
    shortened(project)
    params = (project / "params.yaml").read_text()
    assert "shards: 1" in params
    (project / "params.yaml").write_text(params.replace("shards: 1", "shards: 2"))
    run_in(project, "dvc", "repro", "train@gan")
    one = read_card(project / "models/gan")
    assert one.ancestors
    run_in(project, "dvc", "repro", "--force", "--single-item", "train@gan", AIGC_DEVICES="2")
    assert read_card(project / "models/gan") == one
    (project / "space.yaml").write_text("name: decays\nmethod: gan\nobjectives: [fid]\nsampler: grid\n"
                                        "parameters:\n  gan.decay: {choices: [0.3]}\n")
    said = aigc(project, "sweep", "space.yaml").stdout
    assert "1 complete" in said, said
    client = client_of(project)
    made = client.search_runs([client.get_experiment_by_name("aigc").experiment_id],
                              "tags.`aigc.sweep` = 'decays'")
    assert [run.data.params["init_from"] for run in made] == [parent]
