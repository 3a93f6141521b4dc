"""`aigc repro` makes what `dvc repro` makes, whatever fails, is killed or is asked for on the way."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from dags import AIGC, CODE, dag, outs, started
from projects import copy_project, environment_of, run_in

UP_TO_DATE = "Data and pipelines are up to date.\n"
LOGS = ".checkpoints/logs"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dag(tmp_path_factory.mktemp("fresh") / "project")


@pytest.fixture(scope="module")
def plain(fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `dvc repro` makes."""
    folder = copied(fresh, tmp_path_factory.mktemp("plain"))
    run_in(folder, "dvc", "repro")
    started(folder)
    return folder


@pytest.fixture
def project(fresh: Path, tmp_path: Path) -> Path:
    return copied(fresh, tmp_path)


@pytest.fixture
def made(plain: Path, tmp_path: Path) -> Path:
    return copied(plain, tmp_path)


def copied(folder: Path, to: Path) -> Path:
    return Path(shutil.copytree(folder, to / "project", symlinks=True))


def repro(folder: Path, *words: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    return run_in(folder, *AIGC, "repro", *words, check=check, **CODE)


def running(folder: Path, *words: str) -> subprocess.Popen[str]:
    def hear() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore it

    return subprocess.Popen([*AIGC, "repro", *words], cwd=folder, env=environment_of(**CODE), text=True,
                            stderr=subprocess.PIPE, start_new_session=True, preexec_fn=hear)


def wait_for(folder: Path, *names: str) -> None:
    """Until each of these stages has started."""
    deadline = time.monotonic() + 120
    while not {*names} <= {*((folder / "ran").read_text().split() if (folder / "ran").exists() else [])}:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def assert_finished(folder: Path, plain: Path) -> None:
    assert outs(folder) == outs(plain)
    assert UP_TO_DATE in run_in(folder, "dvc", "repro").stdout


def test_the_lock_and_every_out_are_those_of_dvc_repro(project: Path, plain: Path) -> None:
    said = repro(project, "-j", 3)
    assert sorted(started(project)) == sorted(set(run_in(plain, "dvc", "stage", "list",
                                                         "--name-only").stdout.split()))
    assert said.stdout.startswith("13 of 13 stages made.")
    assert "train@a: runs\n" in said.stderr and "train@a: done in " in said.stderr
    assert_finished(project, plain)


def test_no_entry_of_the_lock_is_lost_where_many_processes_write_it(tmp_path: Path) -> None:
    methods = [f"m{index}" for index in range(6)]
    one, many = (dag(tmp_path / name, methods) for name in ("one", "many"))
    run_in(one, "dvc", "repro")
    repro(many, "-j", 6)
    assert outs(one) == outs(many)


def test_an_up_to_date_project_starts_no_process_and_says_so_as_dvc_does(made: Path) -> None:
    assert repro(made).stdout == UP_TO_DATE
    assert not started(made) and not (made / LOGS).exists()


def test_what_follows_a_stage_that_made_the_same_again_starts_no_process(made: Path) -> None:
    page = made / "page-b"
    page.write_text("other\n")
    run_in(made, "dvc", "repro", "-q")
    page.write_text("b\n")
    started(made)
    repro(made, "--no-run-cache")
    assert started(made) == ["train@b", "generate@b", "evaluate@b", "report"]
    (made / "in").write_text("2\n")
    run_in(made, "dvc", "repro", "-q", "check")
    (made / "in").write_text("1\n")
    run_in(made, "dvc", "repro", "-q")
    shutil.rmtree(made / LOGS)
    (made / "evaluator").unlink()
    started(made)
    repro(made, "--no-run-cache")
    assert started(made) == []  # DVC restores what the lock names
    assert sorted(path.name for path in (made / LOGS).glob("*.log")) == ["evaluator.log"]


@pytest.mark.parametrize("words", [["train@a"], ["generate@a", "train@c"], ["-s", "train@a", "check"],
                                   ["--downstream", "check"], ["--glob", "train@*"], ["-f", "evaluator"],
                                   ["-f", "-s", "evaluator"], ["-P"], ["-p", "train@a"],
                                   ["--no-run-cache", "report"]], ids=" ".join)
def test_targets_and_flags_mean_what_they_mean_to_dvc(plain: Path, tmp_path: Path, words: list[str]) -> None:
    found = []
    for name, command in (("dvc", ["dvc", "repro", *words]), ("aigc", [*AIGC, "repro", "-j", "2", *words])):
        (tmp_path / name).mkdir()
        folder = copied(plain, tmp_path / name)
        (folder / "in").write_text("2\n")
        run_in(folder, *command, **CODE)
        found.append((sorted(started(folder)), outs(folder), run_in(folder, "dvc", "status", "-q",
                                                                    check=False).returncode))
    assert found[0] == found[1] and found[0][0]


def test_dry_prints_what_dvc_prints_and_runs_nothing(made: Path) -> None:
    (made / "in").write_text("2\n")
    assert repro(made, "--dry").stdout == run_in(made, "dvc", "repro", "--dry").stdout
    assert not started(made)


def test_a_failed_chain_stops_what_depends_on_it_and_nothing_else(project: Path, plain: Path) -> None:
    (project / "fail").write_text("generate@b\n")
    done = repro(project, "-j", 2, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "error: generate@b failed: generate@b: has no luck; remove the file `fail` (its output: "
        ".checkpoints/logs/train@b.log); not run: evaluate@b, report")
    assert "has no luck" in (project / LOGS / "train@b.log").read_text()
    ran = started(project)
    assert {"evaluate@a", "evaluate@c", "train@b"} <= {*ran} and not {"evaluate@b", "report"} & {*ran}
    (project / "fail").unlink()
    repro(project, "-j", 2)
    assert started(project) == ["generate@b", "evaluate@b", "report"]
    assert_finished(project, plain)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda one: one.name)
def test_a_killed_run_leaves_nothing_running_and_a_second_one_finishes(
    project: Path, plain: Path, number: signal.Signals
) -> None:
    (project / "slow").write_text("2\n")
    run = running(project, "-j", "3")
    wait_for(project, "train@a", "train@b")
    children = psutil.Process(run.pid).children(recursive=True)
    assert len(children) >= 4  # two dvc, a stage each
    run.send_signal(number)
    said = run.communicate(timeout=60)[1].splitlines()
    assert not psutil.wait_procs(children, timeout=10)[1], "a child outlived `aigc repro`"
    if number != signal.SIGKILL:
        reason = "interrupted" if number == signal.SIGINT else "ended by SIGTERM"
        assert run.returncode == 128 + number and said[-1] == f"error: {reason}"
    (project / "slow").unlink()
    run_in(project, *AIGC, "mend", **CODE)
    repro(project, "-j", 3)
    assert_finished(project, plain)


def test_a_second_one_at_the_same_time_is_refused_and_the_first_goes_on(project: Path, plain: Path) -> None:
    (project / "slow").write_text("2\n")
    first = running(project, "-j", "2")
    wait_for(project, "train@a")
    for command in ("repro", "mend"):
        done = run_in(project, *AIGC, command, check=False, **CODE)
        assert done.returncode == 1 and done.stderr.count("\n") == 1
    (project / "slow").write_text("0\n")
    assert first.wait(120) == 0
    assert_finished(project, plain)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")
def test_a_full_disk_in_one_of_three_chains_stops_that_one(project: Path, plain: Path) -> None:
    small = project / "samples"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(small)], check=False,
                             capture_output=True)
    if mounted.returncode:
        pytest.skip("no mounts in this container")
    try:
        (project / "size").write_text("4096\n")
        done = repro(project, "-j", 3, check=False)
        assert done.returncode == 1 and "No space left on device" in done.stderr.splitlines()[-1]
        ran = started(project)
        assert "report" not in ran and any(name.startswith("evaluate") for name in ran)
    finally:
        subprocess.run(["umount", str(small)], check=True)
    (project / "size").unlink()
    run_in(project, *AIGC, "mend", **CODE)
    repro(project, "-j", 3)
    assert UP_TO_DATE in run_in(project, "dvc", "repro").stdout


@pytest.mark.parametrize(("words", "said"), [
    (["-j", "0"], "error: -j 0: at least 1"), (["-j", "-1"], "error: -j -1: at least 1"),
    (["-j", "abc"], "aigc repro: error: argument -j/--jobs: invalid int value: 'abc'"),
    (["tarin@a"], "error: "), (["-i"], "error: --interactive: stages side by side cannot ask"),
    (["--force-downstream"], "error: --force-downstream: "),
    (["--allow-missing"], "error: --allow-missing: ")])
def test_bad_input_is_one_line_and_runs_nothing(made: Path, words: list[str], said: str) -> None:
    done = repro(made, *words, check=False)
    assert done.returncode in (1, 2) and done.stderr.splitlines()[-1].startswith(said)
    assert "Traceback" not in done.stderr and not started(made)


@pytest.mark.slow
def test_the_pipeline_side_by_side_is_that_of_one_dvc_byte_for_byte(finished: Path, tmp_path: Path) -> None:
    copy_project(tmp_path / "project")
    repro(tmp_path / "project", "-j", 3)
    made = {path.relative_to(finished): path.read_bytes() for path in finished.rglob("*")
            if path.is_file() and path.relative_to(finished).parts[0] in ("data", "models", "reports")
            and "data_docs" not in path.parts and path.name not in (".gitignore", "runs.html")}
    assert len(made) > 30
    assert {name: (tmp_path / "project" / name).read_bytes() for name in made} == made
    assert (tmp_path / "project/dvc.lock").read_bytes() == (finished / "dvc.lock").read_bytes()
    assert UP_TO_DATE in run_in(tmp_path / "project", "dvc", "repro").stdout
