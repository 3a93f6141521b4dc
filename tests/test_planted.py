"""Failures planted on purpose are caught, each by the check that is there for it."""

import re
import shutil
import stat
from pathlib import Path

import pytest

from projects import copy_project, run_in

# what is planted: (file, before, after), the stage that it spoils, and the environment of the second making
PLANTS = {
    "a clock in an out": (
        (
            "src/aigc/stages/preprocess.py",
            "        pictures.write_labels(folder, raw.labels[rows], raw.classes)",
            "        pictures.write_labels(folder, raw.labels[rows], raw.classes)\n"
            "        files.write_json(folder / 'made.json', __import__('time').time())",
        ),
        "preprocess",
        "data/processed/holdout",
        {},
    ),
    "an unseeded draw": (
        (
            "src/aigc/stages/preprocess.py",
            "append(block)",
            "append(block ^ np.random.default_rng().integers(2, dtype=np.uint8))",
        ),
        "preprocess",
        "data/processed/holdout",
        {},
    ),
    "a changed thread count": (
        (
            "src/aigc/stages/evaluator.py",
            "runtime.start_torch(switches.arithmetic, switches.threads)",
            "runtime.start_torch(switches.arithmetic, int(__import__('os').environ.get('PLANTED', 2)))",
        ),
        "evaluator",
        "models/evaluator",
        {"PLANTED": "1"},
    ),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has run up to its evaluator."""
    folder = copy_project(tmp_path_factory.mktemp("base"))
    params = folder / "params.yaml"
    params.write_text(
        params.read_text()
        .replace("images: 4000 ", "images: 2000 ")
        .replace("min_accuracy: 0.5", "min_accuracy: 0.01")
    )
    run_in(folder, "dvc", "repro", "evaluator")
    commit(folder, "made")
    return folder


@pytest.fixture
def started(base: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "started"
    shutil.copytree(base, folder, symlinks=True, ignore=shutil.ignore_patterns(".checkpoints"))
    return folder


def commit(folder: Path, message: str) -> None:
    run_in(folder, "git", "add", "-A")
    run_in(folder, "git", "commit", "-qm", message)


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTS)
def test_what_does_not_repeat_is_caught_by_verify_which_names_the_stage(started: Path, name: str) -> None:
    (file, before, after), stage, out, environment = PLANTS[name]
    page = started / file
    assert before in page.read_text()
    page.write_text(page.read_text().replace(before, after))
    run_in(started, "dvc", "repro", stage)
    commit(started, name)
    done = run_in(
        started,
        "python",
        "-m",
        "aigc",
        "verify",
        "--stage",
        stage,
        check=False,
        PYTHONPATH="src",
        **environment,
    )
    assert done.returncode == 1
    assert re.search(rf"first {stage} \({out}.*whose deps are the committed ones", done.stderr), done.stderr[
        -2000:
    ]


@pytest.mark.slow
def test_an_edited_lock_is_caught(started: Path) -> None:
    lock = started / "dvc.lock"
    md5 = re.search(
        r"outs:\n    - path: data/raw\n      hash: md5\n      md5: ([0-9a-f]{32})", lock.read_text()
    )
    assert md5
    lock.write_text(lock.read_text().replace(md5[1], "0" * 32))
    commit(started, "an edited lock")
    done = run_in(
        started, "python", "-m", "aigc", "verify", "--stage", "ingest", check=False, PYTHONPATH="src"
    )
    assert done.returncode == 1 and "first ingest (data/raw)" in done.stderr


@pytest.mark.slow
def test_a_flipped_bit_in_weights_stops_the_next_stage_and_leaves_the_others_outs(started: Path) -> None:
    weights = started / "models/evaluator/model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.chmod(weights.stat().st_mode | stat.S_IWUSR)
    weights.write_bytes(content)
    before = {path: path.read_bytes() for path in (started / "models").rglob("*") if path.is_file()}
    done = run_in(started, "python", "-m", "aigc.stages", "reference", check=False, PYTHONPATH="src")
    assert done.returncode == 1
    refused = (r"^error: reference: models/evaluator/model\.safetensors: sha256 is \w{16}, "
               r"its config\.json says \w{16}")
    assert re.search(refused, done.stderr, re.MULTILINE)
    assert before == {path: path.read_bytes() for path in (started / "models").rglob("*") if path.is_file()}
