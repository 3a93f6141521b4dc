"""params.yaml says only what can be meant."""

from pathlib import Path

import pytest

from aigc.core import config
from aigc.core.errors import ConfigError
from aigc.params import SECTIONS
from aigc.training.config import TrainConfig


def test_the_committed_params_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).resolve().parents[2])
    for name, kind in SECTIONS.items():
        config.section(name, kind)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            {"seed": 0, "intervals": 100, "checkpoints": 20, "pace_xyz": 1},
            "unknown key `train.pace_xyz`; known here: balanced, checkpoints",
        ),
        ({"seed": 0, "intervals": 100, "checkpoint": 20}, "did you mean `checkpoints`"),
        (
            {"seed": -1, "intervals": 100, "checkpoints": 20},
            "`train.seed`: Input should be greater than or equal to 0",
        ),
        ({"seed": True, "intervals": 100, "checkpoints": 20}, "`train.seed`"),
        (
            {"seed": 0, "intervals": 100, "checkpoints": 30},
            "intervals (100) must be a multiple of checkpoints (30)",
        ),
        (
            {"seed": 0, "intervals": 10**30, "checkpoints": 20},
            "`train.intervals`: Input should be less than or equal to 1000000000000",
        ),
        ({"seed": 0, "intervals": 100, "checkpoints": 20, "crop": float("inf")}, "`train.crop`"),
        ({"seed": 0, "intervals": 100}, "key `train.checkpoints` is missing"),
    ],
)
def test_a_wrong_section_is_one_line_that_names_the_key(content: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.section("train", TrainConfig, {"train": content})
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("images", "many", "Input should be a valid integer, or: Input should be 'auto' (found 'many')"),
        ("features", 1, "Input should be greater than or equal to 2, or: Input should be 'auto' (found 1)"),
    ],
)
def test_a_key_that_is_a_number_or_auto_is_named_once_and_as_the_user_wrote_it(
    key: str, value: object, says: str
) -> None:
    content = {"seed": 0, "batch_size": 64, "learning_rate": 0.004, "outlier": 0.01, key: value}
    with pytest.raises(ConfigError) as caught:
        config.section("evaluator", SECTIONS["evaluator"], {"evaluator": content})
    assert str(caught.value) == f"params.yaml: `evaluator.{key}`: {says}"


def test_numbers_are_read_as_dvc_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("a: 1e-3\nb: 010\nc: on\n")  # YAML 1.1 would make of these a string, 8 and true
    assert config.read(path) == {"a": 0.001, "b": 10, "c": "on"}


@pytest.mark.parametrize(
    "text", ["a: [1", "- 1\n- 2\n", "a: 1\na: 2\n", "5: 6\n", "a: " + "1" * 5001, "[" * 5000]
)
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"params\.yaml"):
        config.read(path)


def test_sections_and_single_keys_of_a_lock_become_sections() -> None:
    locked = {"train.seed": 1, "gan": {"width": 8}, "train.crop": 1.0}
    assert config.nested(locked) == {"train": {"seed": 1, "crop": 1.0}, "gan": {"width": 8}}
