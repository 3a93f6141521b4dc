"""The model card: read by huggingface_hub's own reader, true to the model's facts."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from aigc.exporting import model_card
from aigc.model.card import read_card
from projects import ROOT, Run
from small import ORIGIN, small_model, write_metrics


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def card_of(
    home: Path, aigc: Run, method: str = "gan", passes: bool | None = True, **about: Any
) -> ModelCard:
    small_model(home / "models", method, **about)
    if passes is not None:
        write_metrics(home, method, passes)
    aigc(home, "export", method, "--to", "out", "--card")
    return ModelCard.load(home / "out/README.md")


def test_the_head_is_what_the_hub_reads(home: Path, aigc: Run) -> None:
    card = card_of(home, aigc, origin={**ORIGIN, "source": "digits", "licence": "CC BY-SA 3.0"})
    head = card.data.to_dict()
    assert (head["license"], head["library_name"], head["pipeline_tag"], head["datasets"]) == (
        "cc-by-sa-3.0", "aigc", "unconditional-image-generation", ["ylecun/mnist"])
    assert head["metrics"] == ["fid", "recall"] and "gan" in head["tags"]
    assert head["model_sha256"] == read_card(home / "models/gan").sha256
    fid, recall = card.data.eval_results
    assert (fid.metric_type, fid.metric_value, fid.dataset_type, fid.dataset_split) == (
        "fid", 3.25, "ylecun/mnist", "test")
    assert fid.metric_args["interval_95"] == [3.0, 3.5]
    assert fid.metric_args["floor_real_against_real"] == 0.36
    assert fid.metric_args["n"] == 300 and recall.metric_value == 0.7


def test_the_page_tells_numbers_audit_limits_and_what_is_not_recorded(home: Path, aigc: Run) -> None:
    text = card_of(home, aigc).text
    assert "| FID ↓ | 3.25 | [3, 3.5] | 0.36 | 987.2 |" in text
    assert "**Passed.**" in text and "at most 0.05 passes" in text
    assert "Its recall is 0.7, that of real pictures 0.9: it leaves out part of the variety" in text
    assert "| folder | CC0-1.0 | Zoë 写真 | https://example.org |" in text
    assert "Time: not recorded" in text and "Energy: not recorded" in text
    assert "![Samples](samples.png)" in text


def test_a_failed_audit_is_told_at_once(home: Path, aigc: Run) -> None:
    assert "**FAILED: this model repeats training pictures" in card_of(home, aigc, passes=False).text


def test_a_model_that_nobody_evaluated_has_no_numbers(home: Path, aigc: Run) -> None:
    card = card_of(home, aigc, passes=None)
    assert "model-index" not in card.data.to_dict() and card.data.eval_results is None
    assert "This model was not evaluated." in card.text and "This model was not audited." in card.text


def test_numbers_of_another_model_are_not_shown(home: Path, aigc: Run) -> None:
    small_model(home / "models", "gan", seed=1)
    write_metrics(home, "gan")
    assert "This model was not evaluated." in card_of(home, aigc, passes=None).text


def test_what_the_user_wrote_has_no_meaning_in_markdown(home: Path, aigc: Run) -> None:
    text = card_of(home, aigc, "cgan", classes=2, origin={**ORIGIN, "attribution": "A|B <b> [x](y)"}).text
    assert r"A\|B \<b\> \[x\](y)" in text


@pytest.mark.parametrize(("stated", "expected"), [
    ("", {"license": "unknown"}),
    ("MIT", {"license": "mit"}),
    ("CC0-1.0", {"license": "cc0-1.0"}),
    ("CC BY-NC 4.0", {"license": "cc-by-nc-4.0"}),
    ("Own terms: ask me", {"license": "other", "license_name": "own-terms-ask-me"}),
])
def test_a_licence_is_named_as_the_hub_names_it(stated: str, expected: dict[str, str]) -> None:
    assert model_card.licence(stated) == expected
