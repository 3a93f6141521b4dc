"""Two models side by side: only differences outside the intervals are real."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from aigc import cli
from aigc.metrics import table
from aigc.reporting import comparison

FID = next(metric for metric in table.METRICS if metric.name == "fid")
RECALL = next(metric for metric in table.METRICS if metric.name == "recall")
interval = st.tuples(st.floats(0, 10), st.floats(0, 10)).map(sorted)


@given(interval, interval, st.sampled_from([FID, RECALL]))
def test_a_model_is_better_only_where_the_intervals_do_not_overlap(
    first: list[float], second: list[float], metric: table.Metric
) -> None:
    numbers = [{f"{metric.name}_low": low, f"{metric.name}_high": high} for low, high in (first, second)]
    found = comparison.better(metric, ("a", "b"), numbers)
    lower = "a" if first[1] < second[0] else "b" if second[1] < first[0] else ""
    higher = {"a": "b", "b": "a", "": ""}[lower]
    assert found == ((lower if metric is FID else higher) or "no real difference")
    assert comparison.better(metric, ("a", "b"), [numbers[0], {}]) == "no interval"


def test_two_trained_models_are_compared_by_their_runs_with_samples_side_by_side(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(finished)
    monkeypatch.setattr("aigc.core.runtime.cap_environment", lambda *_: None)
    assert cli.main(["compare", "gan", "models/vae", "--out", str(tmp_path / "both.png")]) == 0
    heading, first, *_ = capsys.readouterr().out.splitlines()
    assert heading.split() == ["metric", "gan", "models/vae", "better"]
    assert first.startswith("FID ↓") and first.count("[") == 2
    picture = np.asarray(Image.open(tmp_path / "both.png"))
    assert picture.shape[1] == 2 * picture.shape[0] and picture.std() > 0
    assert cli.main(["compare", "gan", "nowhere"]) == 1
    assert capsys.readouterr().err.startswith("error: unknown method `nowhere`; known here: ")
