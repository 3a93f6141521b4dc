"""The numbers that `evaluate` takes from the stage `reference` are whole, and of the same extractors."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aigc.core import runtime
from aigc.core.errors import StorageError
from aigc.evaluation import fidelity
from aigc.evaluation.config import EvaluateConfig
from aigc.evaluation.fidelity import Extractors
from aigc.stages import evaluate
from small import Quarters

CONFIG = EvaluateConfig(sample_size=100)


@pytest.fixture
def context(device: runtime.Device) -> Any:
    return SimpleNamespace(extractors=Extractors(Quarters(), CONFIG, device))


@pytest.fixture
def reference(context: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports/metrics").mkdir(parents=True)
    return {"floor": {"fid": {"value": 1.0}}, "ceiling": {"fid": {"value": 9.0}},
            "audit": {"memorization": {}, "collapse": {"within": 0.5}},
            "protocol": fidelity.protocol(context.extractors, CONFIG)}


def write(text: str) -> None:
    Path("reports/metrics/reference.json").write_text(text)


def test_a_whole_reference_is_read(context: Any, reference: dict[str, Any]) -> None:
    write(json.dumps(reference))
    assert evaluate.read_reference(context) == reference


@pytest.mark.parametrize("text", ["{}", "[]", "null", '"fid"',
                                  '{"floor": [], "ceiling": 3, "audit": {}, "protocol": {}}', "{"])
def test_a_reference_of_another_shape_is_one_line_with_file_and_remedy(
        context: Any, reference: dict[str, Any], text: str) -> None:
    write(text)
    with pytest.raises(StorageError) as caught:
        evaluate.read_reference(context)
    message = str(caught.value)
    assert message.startswith("reports/metrics/reference.json: ")
    assert "`dvc repro" in message and "\n" not in message


def test_a_reference_of_another_extractor_is_one_line_with_both_hashes(context: Any,
                                                                       reference: dict[str, Any]) -> None:
    reference["protocol"]["extractor_sha256"] = "f" * 64
    write(json.dumps(reference))
    hashes = f"extractor {'f' * 16}, this is {Quarters.sha256[:16]}"
    with pytest.raises(StorageError, match=f"{hashes}; .*`dvc repro reference`"):
        evaluate.read_reference(context)
