"""A recipe changes the values that it names and nothing else of params.yaml."""

import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aigc import cli, recipes
from aigc.core import config
from aigc.core.errors import ConfigError
from projects import ROOT

NAMES = sorted(path.stem for path in (ROOT / "recipes").glob("*.yaml"))
HEAD = "title: t\nresult: r\n"
OTHERS = [name for name in NAMES if name != "digits"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the committed params.yaml and recipes."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    (tmp_path / "dvc.yaml").write_text("# aigc.stages\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def flat() -> dict[str, Any]:
    return config.flatten(config.read())


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_applies_to_the_committed_params_and_passes_the_check(project: Path, name: str) -> None:
    before = flat()
    assert cli.main(["use", name, "--yes"]) == 0
    assert flat() == before | recipes.read(name).values()


@pytest.mark.parametrize("name", NAMES)
def test_the_methods_of_every_recipe_can_be_built_at_its_size(project: Path, name: str) -> None:
    import torch

    from aigc import methods
    from aigc.model.contract import Shape

    cli.main(["use", name, "--yes"])
    content = config.read()
    shape = Shape(content["preprocess"]["channels"], content["preprocess"]["size"], 10)
    for method in content["methods"]:
        with torch.device("meta"):
            methods.build(method, methods.load_config(method, content), shape)


@pytest.mark.parametrize("name", OTHERS)
def test_comments_order_and_shared_blocks_stay(project: Path, name: str) -> None:
    before = (project / "params.yaml").read_text()
    assert cli.main(["use", name, "--yes"]) == 0
    after = (project / "params.yaml").read_text()
    comments, keys = re.compile("#.*"), re.compile(r"^ *[\w<]+:", re.MULTILINE)
    assert comments.findall(after) == comments.findall(before)
    anchors = re.compile(".*&.*")
    assert anchors.findall(after) == anchors.findall(before)
    left = iter(keys.findall(after))
    assert all(key in left for key in keys.findall(before)), "a key is gone, or has another place"


@pytest.mark.parametrize("name", OTHERS)
def test_digits_restores_the_committed_values_after_any_recipe(project: Path, name: str) -> None:
    before = config.read()
    assert cli.main(["use", name, "--yes"]) == 0
    assert config.read() != before
    assert cli.main(["use", "digits", "--yes"]) == 0
    assert config.read() == before


def test_a_comment_stays_in_its_column(project: Path) -> None:
    cli.main(["use", "fashion", "--yes"])
    assert "\n  source: fashion-mnist     # digits (bundled)" in (project / "params.yaml").read_text()
    assert "\n  max_ink: 1.0              # ink: greates" in (project / "params.yaml").read_text()


def test_a_key_that_a_method_merges_is_written_at_the_method_alone(project: Path) -> None:
    (project / "recipes/mine.yaml").write_text(HEAD + "steps: [{reason: r, set: {vae.latent: 8}}]\n")
    assert cli.main(["use", "mine", "--yes"]) == 0
    text = (project / "params.yaml").read_text()
    assert text.count("latent: 16 ") == 1
    assert "the prior is N(0, I)\n  latent: 8\n\ngan:" in text
    assert (config.read()["vae"]["latent"], config.read()["autoencoder"]["latent"]) == (8, 16)


def test_lists_and_sections_may_be_written_in_the_other_style_of_yaml(project: Path) -> None:
    text = (project / "params.yaml").read_text()
    before = "methods: [autoencoder, vae, gan, wgan_gp, dcgan, cgan, r3gan, flow]\n"
    behind = text.partition("\nflow:\n")[2]
    assert before in text
    text = text.replace(before, "methods:\n- flow\n- vae  # the second\n# a comment behind the list\n")
    (project / "params.yaml").write_text(text.replace(behind, f"  {{{', '.join(flow_style(behind))}}}\n"))
    wanted = config.read()
    assert cli.main(["use", "cifar10-gpu", "--yes"]) == 0
    assert config.read()["flow"] == wanted["flow"] | {
        key.partition(".")[2]: value for key, value in recipes.read("cifar10-gpu").values().items()
        if key.startswith("flow.")}
    assert config.read()["methods"] == ["cgan", "r3gan", "flow"]
    assert "# a comment behind the list\n" in (project / "params.yaml").read_text()


def flow_style(lines: str) -> list[str]:
    """Lines of a section as parts of a flow mapping, without their comments."""
    return [line.partition(" #")[0].strip() for line in lines.splitlines()]


def test_each_change_is_shown_with_old_value_new_value_and_reason(
        project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["use", "fashion", "--yes"])
    shown = capsys.readouterr().out
    assert re.search(r"^  data\.source +digits -> fashion-mnist +pictures of clothes", shown, re.MULTILINE)
    assert "starting point, not measured" in shown
    cli.main(["use", "fashion", "--yes"])
    assert "nothing to change" in capsys.readouterr().out


def test_without_a_name_the_recipes_are_listed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["use"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == NAMES
    assert all(len(line.split()) > 3 for line in listed)


def in_terminal(folder: Path, answer: bytes) -> tuple[int, str]:
    """Run `aigc use fashion` with a terminal as stdin: exit code and output."""
    ours, theirs = pty.openpty()
    os.write(ours, answer)
    done = subprocess.run([sys.executable, "-m", "aigc", "use", "fashion"], cwd=folder, stdin=theirs,
                          capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT / "src")})
    os.close(ours)
    os.close(theirs)
    return done.returncode, done.stdout


def test_nothing_is_written_without_a_yes(project: Path) -> None:
    before = (project / "params.yaml").read_bytes()
    code, shown = in_terminal(project, b"\n")
    assert code == 1 and "params.yaml is not changed" in shown
    assert (project / "params.yaml").read_bytes() == before
    assert in_terminal(project, b"y\n")[0] == 0
    assert config.read()["data"]["source"] == "fashion-mnist"


def test_without_a_terminal_it_does_not_ask(project: Path, monkeypatch: pytest.MonkeyPatch,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    before = (project / "params.yaml").read_bytes()
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert cli.main(["use", "fashion"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "--yes" in said
    assert (project / "params.yaml").read_bytes() == before


@pytest.mark.parametrize(("content", "says"), [
    ("set: {}", "recipes/bad.yaml: title: Field required"),
    (HEAD + "steps: [{set: {train.seed: 1}}]", "recipes/bad.yaml: steps.0.reason: Field required"),
    (HEAD + "steps: [{reason: r, set: {train.sead: 1}}]", "there is no key `train.sead`"),
    (HEAD + "steps: [{reason: r, set: {biggan.width: 1}}]", "there is no key `biggan.width`"),
    (HEAD + "steps: [{reason: r, set: {train.seed.deep: 1}}]", "there is no key `train.seed.deep`"),
    (HEAD + "steps: [{reason: r, set: {train.seed: -1}}]", "`train.seed`: Input should be greater"),
    (HEAD + "steps: [{reason: r, set: {generate.count: 10}}]", "generate.count (10) is smaller"),
    (HEAD + "steps: [{reason: r, set: {shared.pyramid.width: 8}}]",
     "would also change dcgan.width, wgan_gp.width, cgan.width"),
    ("title: [", "recipes/bad.yaml: not valid YAML"),
])
def test_a_bad_recipe_is_one_line_and_writes_nothing(
        project: Path, capsys: pytest.CaptureFixture[str], content: str, says: str) -> None:
    (project / "recipes/bad.yaml").write_text(content)
    before = (project / "params.yaml").read_bytes()
    assert cli.main(["use", "bad", "--yes"]) == 1
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1
    assert (project / "params.yaml").read_bytes() == before


def test_an_unknown_recipe_is_one_line_that_names_the_nearest(project: Path) -> None:
    with pytest.raises(ConfigError, match="no recipe `fashon` in recipes/; did you mean `fashion`"):
        recipes.read("fashon")


def test_the_recipe_for_fashion_is_the_line_of_the_page() -> None:
    page = (ROOT / "docs/own-pictures.md").read_text().partition("## Fashion-MNIST at full size")[2]
    line = page[page.index("dvc exp run"):].partition("\n\n")[0]
    wanted = config.read(ROOT / "recipes/fashion.yaml")["steps"]
    values = {key: str(value) for step in wanted for key, value in step["set"].items()}
    assert dict(re.findall(r"-S (\S+)=(\S+)", line)) == values
