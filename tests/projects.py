"""Commands as a user gives them, and small projects to give them in."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
Run = Callable[..., subprocess.CompletedProcess[str]]


def environment_of(**environment: str) -> dict[str, str]:
    """This environment's programs first on the path, and nothing of ours in the way."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    clean = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("MLFLOW_", "DVC_", "PYTHONPATH", "AIGC_"))
    }
    return {**clean, "PATH": path, **environment}


def run_in(
    folder: Path, *command: object, check: bool = True, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command as a user would, in `folder`, with this environment's programs first on the path."""
    done = subprocess.run([str(part) for part in command], cwd=folder, env=environment_of(**environment),
                          capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"{command}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


TRACER = Path(__file__).with_name("pipeline") / "tracer.py"
SMALL = {
    "methods: [autoencoder, vae, gan, wgan_gp, dcgan, cgan, r3gan, flow]": "methods: [vae, gan]",
    "images: auto ": "images: 4000 ",
    "count: 5000": "count: 600",
    "sample_size: 1000": "sample_size: 300",
    "min_accuracy: auto": "min_accuracy: 0.5",
    "intervals: 100": "intervals: 10",
    "checkpoints: 10": "checkpoints: 5",
    "classifier_images: 10000": "classifier_images: 1280",
}


def copy_project(folder: Path) -> Path:
    """The project's files as they lie here, in a repository of their own, with training cut to seconds."""
    names = run_in(ROOT, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout.split(
        "\0"
    )
    for name in filter(None, names):
        if (ROOT / name).is_file() and not name.startswith(("reports/", "dvc.lock")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    params = (folder / "params.yaml").read_text()
    for before, after in SMALL.items():
        assert before in params, f"params.yaml no longer says `{before}`"
        params = params.replace(before, after)
    sections = params.split("\nautoencoder:")
    lines = [
        line if not line.startswith("  images:") else "  images: 3000" for line in sections[1].splitlines()
    ]
    (folder / "params.yaml").write_text(sections[0] + "\nautoencoder:" + "\n".join(lines) + "\n")
    shutil.copy(TRACER, folder / "src" / "sitecustomize.py")
    for command in (
        ("init", "-q"),
        ("config", "user.name", "test"),
        ("config", "user.email", "test@example.org"),
        ("add", "-A"),
        ("commit", "-qm", "start"),
    ):
        run_in(folder, "git", *command)
    return folder


def run_once(folder: Path) -> Path:
    """The small project in `folder`, with results that are committed."""
    copy_project(folder)
    run_in(folder, "dvc", "repro")
    run_in(folder, "git", "add", "-A")
    run_in(folder, "git", "commit", "-qm", "results")
    return folder
