"""What the training writes beside its weights."""

from pathlib import Path

import pytest

from aigc.core import paths
from aigc.stages import train


def test_a_history_that_went_through_a_checkpoint_is_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    straight = [{"step": 3, "images": 384, "loss/critic": 0.1}]
    resumed = [{name: float(value) for name, value in row.items()} for row in straight]
    contents = []
    for history in (straight, resumed):
        train.write_history("gan", history)
        contents.append(paths.history("gan").read_text())
    assert contents[0] == contents[1] == "step,images,loss/critic\n3,384,0.1\n"
