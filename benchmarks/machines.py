"""The same bytes on another machine: train, sample and measure every method under processors that qemu-user emulates.

    PYTHONPATH=src python benchmarks/machines.py [--cpu Haswell EPYC-Rome] [--libc DIR] [--methods vae gan …] [--steps 2] [--full]

Needs qemu-x86_64 (Debian: apt-get install qemu-user), unless --cpu is given no model. With --libc also under another C library, natively:
DIR is an unpacked libc6 package of another Debian release (`dpkg-deb -x libc6_*.deb DIR`), newer than this one's. Hashes of the weights, the samples and the metrics of a few steps in
portable arithmetic, natively and under each processor; exits 1 where one differs. Methods have the sizes of params.yaml with
--full; without it they are narrow, because an emulated step takes seconds. The emulator varies neither the C library, nor caches,
nor the number of cores.
"""

import argparse
import json
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

CPUS = ["Haswell", "EPYC-Rome"]
NARROW = {"width": 8, "max_width": 16, "batch_size": 8, "components": 2, "steps": 2, "images": 3000}
WORDS = ("weights", "samples", "metrics")


def compute(names: list[str], steps: int, full: bool) -> dict[str, dict[str, str]]:
    """{method: {"weights": sha256, …}} as this processor computes them."""
    from aigc.core import runtime

    runtime.cap_environment("portable", 2)
    import hashlib
    from functools import partial

    import numpy as np
    import torch

    from aigc import methods
    from aigc.core import config, files
    from aigc.features.classifier import Classifier, ClassifierConfig, classify
    from aigc.metrics import frechet
    from aigc.metrics.inception_score import inception_score
    from aigc.model import sampling
    from aigc.model.contract import Shape
    from aigc.training.config import TrainConfig
    from aigc.training.feed import Feed
    from aigc.training.loop import Trainer

    def digest(*parts: bytes) -> str:
        return hashlib.sha256(b"".join(parts)).hexdigest()

    device, content = runtime.start_torch("portable", 2), config.read()
    shape, train = Shape(1, 28, 10), TrainConfig(seed=0, intervals=1, checkpoints=1)
    pictures = np.random.default_rng(0).integers(0, 256, (64, 1, 28, 28), dtype=np.uint8)
    feed = Feed(pictures, np.arange(64) % 10, 0, device)
    torch.manual_seed(0)
    extractor = Classifier(ClassifierConfig(images=1, batch_size=8, ema_halflife=1.0, warmup=0.0, decay=0.0, learning_rate=1e-3,
                                            width=8, features=16), shape).eval()
    real = frechet.fit(classify(extractor, pictures, device).features)
    found = {}
    for name in names:
        section = dict(content[name])
        narrow = {} if full else {key: value for key, value in NARROW.items() if key in section}
        batch = narrow.get("batch_size", section["batch_size"])
        chosen = methods.config_class(name).model_validate({**section, **narrow, "images": batch * steps})
        trainer = Trainer(name, partial(methods.build, name, chosen, shape), feed, chosen, train, device)
        model = trainer.fit()
        images = torch.cat(list(sampling.blocks(model, 0, 128))).numpy()
        seen = classify(extractor, images, device)
        numbers = [frechet.distance(real, frechet.fit(seen.features)), inception_score(seen.logits)]
        found[name] = {"weights": digest(files.pack_tensors(model.state_dict())), "samples": digest(images.tobytes()),
                       "metrics": digest(seen.features.tobytes(), *(f"{number:.6g}".encode() for number in numbers))}
    return found


def under_libc(folder: Path) -> list[str]:
    """The start of a command that runs a program under the C library that was unpacked into `folder`."""
    loader = next((found for found in folder.glob("**/ld-linux-x86-64.so.2") if not found.is_symlink()), None)
    if loader is None:
        sys.exit(f"error: {folder}: no ld-linux-x86-64.so.2 in it; unpack a libc6 package there with `dpkg-deb -x`")
    libraries = [str(loader.resolve().parent), "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", sysconfig.get_config_var("LIBDIR")]
    return [str(loader.resolve()), "--library-path", ":".join(libraries)]


def version_of_libc(start: list[str]) -> str:
    """What the C library says of itself in a process that begins with `start`."""
    asked = "import ctypes; found = ctypes.CDLL(None).gnu_get_libc_version; found.restype = ctypes.c_char_p; print(found().decode())"
    return subprocess.run([*start, sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.strip()


def measure(start: list[str], methods: list[str], steps: int, full: bool) -> dict[str, dict[str, str]]:
    """`compute` in a process of its own, whose command begins with `start` ([] = natively)."""
    size = ["--full"] if full else []
    command = [*start, sys.executable, __file__, "--compute", "--methods", *methods, "--steps", str(steps), *size]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[:4])} failed:\n{done.stderr[-2000:]}")
    answer: dict[str, dict[str, str]] = json.loads(done.stdout.splitlines()[-1])
    return answer


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cpu", nargs="*", default=CPUS, help="models of `qemu-x86_64 -cpu help`")
    parser.add_argument("--libc", type=Path, metavar="DIR", help="an unpacked libc6 package")
    parser.add_argument("--methods", nargs="+", help="default: those of params.yaml")
    parser.add_argument("--steps", type=int, default=2, help="training steps (default 2)")
    parser.add_argument("--full", action="store_true", help="the sizes of params.yaml")
    parser.add_argument("--compute", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.compute:
        print(json.dumps(compute(chosen.methods, chosen.steps, chosen.full)))
        return 0
    if chosen.cpu and not shutil.which("qemu-x86_64"):
        sys.exit("error: qemu-x86_64 is not installed; on Debian `apt-get install qemu-user`")
    from aigc.core import config

    methods = chosen.methods or config.methods()
    machines = {cpu: ["qemu-x86_64", "-cpu", cpu] for cpu in chosen.cpu}
    if chosen.libc:
        other = under_libc(chosen.libc)
        if version_of_libc(other) == version_of_libc([]):
            sys.exit(f"error: {chosen.libc}: glibc {version_of_libc(other)} is this system's; unpack another release's")
        machines[f"glibc {version_of_libc(other)}"] = other
    print(f"against this machine, glibc {version_of_libc([])}:")
    native, failed = measure([], methods, chosen.steps, chosen.full), False
    for machine, start in machines.items():
        there = measure(start, methods, chosen.steps, chosen.full)
        for method in methods:
            differing = [word for word in WORDS if native[method][word] != there[method][word]]
            failed = failed or bool(differing)
            print(f"{machine:<12}{method:<12}{'differs: ' + ', '.join(differing) if differing else 'identical'}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
