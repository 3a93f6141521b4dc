"""A lock is believed only as far as it was made again."""

import json
import re
from pathlib import Path

import pytest

from aigc.core.errors import ConfigError, GateError
from aigc.reproduction import comparison, verification
from aigc.reproduction.metric_comparison import compare_metrics
from aigc.reproduction.verification import Request
from aigc.workspace import machine
from projects import ROOT, run_in

Lock = dict[str, dict[str, object]]


def lock(**outs: str) -> Lock:
    """Two stages, the second of which depends on the first's out."""
    return {
        "one": {"cmd": "1", "outs": [{"path": "a", "md5": outs["a"]}]},
        "two": {
            "cmd": "2",
            "deps": [{"path": "a", "md5": outs["a"]}, {"path": "src/two.py", "md5": outs.get("code", "0")}],
            "params": {"params.yaml": {"seed": outs.get("seed", "0")}},
            "outs": [{"path": "b", "md5": outs["b"]}, {"path": "reports/metrics/gan.json", "md5": outs["b"]}],
        },
    }


def test_the_first_stage_that_differs_is_told_from_those_that_follow() -> None:
    verdicts = comparison.compare(lock(a="1", b="2"), lock(a="9", b="8"))
    assert [(one.verdict, one.deps_differ) for one in verdicts] == [("differs", False), ("differs", True)]
    first = comparison.first_to_differ(verdicts)
    assert first is not None and first.stage == "one"
    assert comparison.compare(lock(a="1", b="2"), {"one": lock(a="1", b="2")["one"]})[1].verdict == "not made"
    assert comparison.compare({}, lock(a="1", b="2"), wanted=["one"])[0].verdict == "not in dvc.lock"


@pytest.mark.parametrize("forged", [{"code": "7"}, {"seed": "7"}])
def test_a_lock_that_records_other_code_or_params_is_stale_though_the_outs_are_the_same(
    forged: dict[str, str],
) -> None:
    verdicts = comparison.compare(lock(a="1", b="2", **forged), lock(a="1", b="2"))
    assert [one.verdict for one in verdicts] == ["identical", "identical"]
    with pytest.raises(
        GateError, match=r"stale: two was recorded with another (src/two\.py|params\.yaml\.seed)"
    ):
        verification.judge(verdicts, [], "elsewhere", Request(tolerant=True))


def test_a_committed_file_that_is_not_what_was_made_differs_even_if_the_lock_agrees() -> None:
    same = lock(a="1", b="2")
    assert comparison.compare(same, same, {"b": "tampered"})[1].outs == ["b"]


def test_the_ancestors_of_a_stage_are_those_whose_outs_reach_it() -> None:
    three: Lock = {
        **lock(a="1", b="2"),
        "three": {"deps": [{"path": "b", "md5": "2"}]},
        "aside": {"outs": [{"path": "c", "md5": "1"}]},
    }
    assert comparison.ancestors(three, "three") == ["one", "two"]
    assert comparison.ancestors(three, "one") == []


def test_stages_that_dvc_yaml_no_longer_has_are_not_judged_and_only_those(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").touch()
    (tmp_path / "params.yaml").write_text("methods: [gan]\nruntime: {arithmetic: portable, threads: 1}\n")
    (tmp_path / "dvc.yaml").write_text(
        "stages: {train: {matrix: {method: '${methods}'}, cmd: 'touch ${item.method}', "
        "outs: ['${item.method}']}} # aigc.stages"
    )
    entries = ", ".join(
        f"train@{name}: {{cmd: touch {name}, outs: [{{path: {name}, md5: forged}}]}}"
        for name in ("gan", "cgan")
    )
    (tmp_path / "dvc.lock").write_text(f"schema: '2.0'\nstages: {{{entries}}}\n")
    for command in (
        ("init", "-q"),
        ("add", "-A"),
        ("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "one method less"),
    ):
        run_in(tmp_path, "git", *command)
    done = run_in(tmp_path, "python", "-m", "aigc", "verify", check=False, PYTHONPATH=str(ROOT / "src"))
    assert "not in dvc.yaml any more, so not judged: train@cgan\n" in done.stderr
    assert "error: 1 of 1 stages differ, first train@gan (gan)" in done.stderr


METRICS = compare_metrics({"gan.fid": 100.0}, {"gan.fid": 110.0})
FAR = compare_metrics({"gan.fid": 100.0}, {"gan.fid": 130.0})
DIFFERENT = comparison.compare(lock(a="1", b="2"), lock(a="1", b="3"))


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cpu_model", lambda: "here")


@pytest.mark.parametrize("made_on", ["here", "unknown"])
def test_on_the_same_processor_one_byte_fails(made_on: str) -> None:
    with pytest.raises(
        GateError, match=r"first two \(b, reports/metrics/gan\.json\), whose deps are the committed ones"
    ):
        verification.judge(DIFFERENT, METRICS, made_on, Request())


def test_on_another_processor_bytes_warn_and_metrics_decide(capsys: pytest.CaptureFixture[str]) -> None:
    assert verification.judge(DIFFERENT, METRICS, "elsewhere", Request(elsewhere=True)) == 0
    warning = capsys.readouterr().err
    assert "WARNING" in warning and "`elsewhere`" in warning and "`here`" in warning
    with pytest.raises(GateError, match=r"gan\.fid moved from 100\.0 to 130\.0"):
        verification.judge(DIFFERENT, FAR, "elsewhere", Request(elsewhere=True))
    for made_on, request in (("elsewhere", Request()), ("here", Request(elsewhere=True))):
        with pytest.raises(GateError):
            verification.judge(DIFFERENT, METRICS, made_on, request)


def test_a_tolerance_counts_where_it_was_asked_for() -> None:
    assert verification.judge(DIFFERENT, METRICS, "here", Request(tolerant=True)) == 0
    with pytest.raises(GateError, match="beyond its tolerance"):
        verification.judge(DIFFERENT, FAR, "here", Request(tolerant=True))
    with pytest.raises(GateError, match="no metric was made"):
        verification.judge(DIFFERENT, [], "here", Request(tolerant=True))


def test_the_table_says_which_metric_moved_by_how_much() -> None:
    told = comparison.table(comparison.weighed(DIFFERENT, METRICS), METRICS)
    assert re.search(r"^one +identical$", told, re.MULTILINE)
    assert re.search(
        r"^two +within tolerance +.*gan\.fid 100\.0 -> 110\.0 \(\+10\.000%, within 25%\)$", told, re.MULTILINE
    )
    assert "BEYOND 25%" in comparison.table(comparison.weighed(DIFFERENT, FAR), FAR)


def test_an_unknown_method_or_stage_is_told_with_the_nearest() -> None:
    committed = {"train@gan": {}, "evaluate@gan": {}}
    with pytest.raises(ConfigError, match="no method `gam`; did you mean `gan`"):
        verification.targets_of(Request(methods=("gam",)), committed)
    assert verification.targets_of(Request(methods=("gan",), stages=("train",)), committed) == [
        "train",
        "evaluate@gan",
    ]


@pytest.mark.slow
def test_a_forged_lock_is_caught_and_an_honest_one_passes(project: Path) -> None:
    honest = run_in(project, "python", "-m", "aigc", "verify", PYTHONPATH="src")
    assert "identical: all" in honest.stderr
    tampered = project / "reports/metrics/gan.json"
    fid = json.loads(tampered.read_text())["fid"]["value"]
    tampered.write_text(tampered.read_text().replace(f'"value": {fid}', '"value": 0.5', 1))
    run_in(project, "git", "commit", "-qam", "tampered")
    caught = run_in(
        project, "python", "-m", "aigc", "verify", "--method", "gan", check=False, PYTHONPATH="src"
    )
    assert caught.returncode == 1 and "first evaluate@gan (reports/metrics/gan.json)" in caught.stderr
    run_in(project, "dvc", "commit", "-f")
    run_in(project, "git", "commit", "-qam", "forged")
    forged = run_in(
        project, "python", "-m", "aigc", "verify", "--method", "gan", check=False, PYTHONPATH="src"
    )
    assert forged.returncode == 1
    assert "first evaluate@gan (reports/metrics/gan.json), whose deps are the committed ones" in forged.stderr
    assert f"gan.fid 0.5 -> {fid}" in forged.stdout
    assert "train@vae" not in forged.stdout


@pytest.mark.slow
def test_a_commit_that_changes_results_without_its_lock_fails_with_the_table_of_what_changed(
    project: Path, tmp_path: Path
) -> None:
    params = project / "params.yaml"
    seed = "  seed: 0                   # 0 to 2^32 - 1: weights"
    assert seed in params.read_text()
    params.write_text(params.read_text().replace(seed, "  seed: 5                   #"))
    run_in(project, "git", "commit", "-qam", "another seed, no lock")
    verify_gan = ("python", "-m", "aigc", "verify", "--method", "gan", "--summary", tmp_path / "summary.md")
    done = run_in(project, *verify_gan, check=False, PYTHONPATH="src")
    assert done.returncode == 1
    assert (
        "first train@gan (models/gan, reports/plots/gan/history.csv), recorded with another "
        "params.yaml.train.seed" in done.stderr
    )
    assert re.search(
        r"\| train@gan \| differs \|.*stale: params\.yaml\.train\.seed", (tmp_path / "summary.md").read_text()
    )
    assert re.search(r"gan\.fid [\d.]+ -> [\d.]+", done.stdout)
