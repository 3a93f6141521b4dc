"""A lock is believed only as far as it was made again."""

from pathlib import Path

import pytest

from aigc import verify
from aigc.core.errors import GateError
from conftest import run_in


def lock(**outs: str) -> dict[str, object]:
    """Two stages, the second of which depends on the first's out."""
    return {"one": {"outs": [{"path": "a", "md5": outs["a"]}]},
            "two": {"deps": [{"path": "a", "md5": outs["a"]}], "outs": [{"path": "b", "md5": outs["b"]}]}}


def test_the_first_stage_that_differs_is_told_from_those_that_follow() -> None:
    verdicts = verify.compare(lock(a="1", b="2"), lock(a="9", b="8"))
    assert [(one.verdict, one.deps_differ) for one in verdicts] == [("differs", False), ("differs", True)]
    assert verify.compare(lock(a="1", b="2"), {"one": lock(a="1", b="2")["one"]})[1].verdict == "not made"


METRICS = verify.compare_metrics({"gan.fid": 100.0}, {"gan.fid": 110.0})


def test_on_the_same_processor_one_byte_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify.provenance, "cpu_model", lambda: "here")
    stages = verify.compare(lock(a="1", b="2"), lock(a="1", b="3"))
    for made_on in ("here", "unknown"):
        with pytest.raises(GateError, match=r"first two \(b\)"):
            verify._judge(stages, METRICS, made_on, strict=False)


def test_on_another_processor_bytes_warn_and_metrics_decide(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(verify.provenance, "cpu_model", lambda: "here")
    stages = verify.compare(lock(a="1", b="2"), lock(a="1", b="3"))
    assert verify._judge(stages, METRICS, "elsewhere", strict=False) == 0
    warning = capsys.readouterr().err
    assert "WARNING" in warning and "`elsewhere`" in warning and "`here`" in warning
    with pytest.raises(GateError, match=r"gan\.fid moved from 100\.0 to 130\.0"):
        verify._judge(stages, verify.compare_metrics({"gan.fid": 100.0}, {"gan.fid": 130.0}), "elsewhere", strict=False)
    with pytest.raises(GateError):
        verify._judge(stages, METRICS, "elsewhere", strict=True)


def test_a_metric_that_is_gone_is_out_of_its_tolerance() -> None:
    assert not verify.compare_metrics({"gan.fid": 1.0}, {})[0].within


@pytest.mark.slow
def test_a_forged_lock_is_caught_and_an_honest_one_passes(project: Path) -> None:
    honest = run_in(project, "python", "-m", "aigc", "verify", "--strict", PYTHONPATH="src")
    assert "identical: all" in honest.stderr
    (project / "reports/metrics/gan.json").write_text((project / "reports/metrics/gan.json").read_text().replace('"value": ', '"value": 1'))
    run_in(project, "dvc", "commit", "-f")
    run_in(project, "git", "commit", "-qam", "forged")
    forged = run_in(project, "python", "-m", "aigc", "verify", "--strict", check=False, PYTHONPATH="src")
    assert forged.returncode == 1
    assert "first evaluate@gan (reports/metrics/gan.json)" in forged.stderr
