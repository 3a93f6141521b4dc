"""deploy/compose.yaml: a valid file, no password in it, and every file and variable that it names."""

import re
import shutil
import subprocess

import pytest

from projects import ROOT, environment_of
from teams import COMPOSE, composed, filled

TEXT = COMPOSE.read_text(encoding="utf-8")
DOCKERFILE = ROOT / "deploy/Dockerfile.mlflow"


def test_the_example_has_each_variable_and_no_password() -> None:
    example = (ROOT / "deploy/env.example").read_text(encoding="utf-8")
    needed = set(re.findall(r"\$\{(\w+):\?", TEXT))
    assert needed == {"POSTGRES_PASSWORD", "MLFLOW_ADMIN_PASSWORD", "MLFLOW_SECRET_KEY"}
    assert needed == {line[:-1] for line in example.splitlines() if line.endswith("=")}
    named = set(re.findall(r"\$\{(\w+)", TEXT))
    assert named == set(re.findall(r"^(?:# )?([A-Z_]+)=", example, re.MULTILINE))
    ignored = subprocess.run(["git", "check-ignore", "-q", "deploy/.env"], cwd=ROOT, check=False)
    assert ignored.returncode == 0


def test_without_a_password_it_does_not_start() -> None:
    with pytest.raises(AssertionError, match=r"POSTGRES_PASSWORD has no value: write it into deploy/\.env"):
        filled(TEXT, {})


def test_no_port_is_open_to_others_unless_asked_and_what_it_mounts_is_there() -> None:
    services = composed()["services"]
    assert "ports" not in services["database"]
    assert [filled(port, {}) for port in services["mlflow"]["ports"]] == ["127.0.0.1:5000:5000"]
    mounted = [one.split(":")[0] for one in services["mlflow"]["volumes"] if one.startswith(".")]
    assert mounted and all((COMPOSE.parent / name).is_file() for name in mounted)
    assert (COMPOSE.parent.parent / services["mlflow"]["build"]["dockerfile"]) == DOCKERFILE
    assert all("healthcheck" in service and service["restart"] for service in services.values())


def test_the_image_has_the_lock_of_the_team_alone_and_no_root() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert re.findall(r"^COPY (.*)$", text, re.MULTILINE) == ["requirements-team.lock /"]
    assert text.count("pip install") == 1 and "--require-hashes" in text
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)
    lock = (ROOT / "requirements-team.lock").read_text(encoding="utf-8")
    named = set(re.findall(r"^([a-z0-9.-]+)==", lock, re.MULTILINE))
    assert {"mlflow", "flask-wtf", "psycopg-binary", "dvc-ssh", "dvc-s3", "dvc-gs", "dvc-azure"} <= named
    assert not named & {"torch", "torchvision", "gradio"}
    if shutil.which("hadolint", path=environment_of()["PATH"]):
        done = subprocess.run(["hadolint", DOCKERFILE], env=environment_of(), capture_output=True, text=True,
                              check=False)
        assert done.returncode == 0, done.stdout


def test_all_locks_agree_on_what_they_share() -> None:
    """They are installed into one environment."""
    pins: dict[str, dict[str, set[str]]] = {}
    for lock in ("requirements.lock", "requirements-team.lock", "requirements-dev.lock"):
        content = (ROOT / lock).read_text(encoding="utf-8")
        for name, pin in re.findall(r"^([a-z0-9.-]+)==([^\\\n]+)", content, re.MULTILINE):
            pins.setdefault(name, {}).setdefault(lock, set()).add(pin.partition(";")[0].strip())
    different = {name: found for name, found in pins.items() if len({*map(frozenset, found.values())}) > 1}
    assert not different
