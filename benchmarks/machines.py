"""Check that other processors compute the same bytes: run every method under qemu-user.

    PYTHONPATH=src python benchmarks/machines.py [--cpu Haswell EPYC-Rome] [--libc DIR]
                                                 [--methods vae gan …] [--steps 2] [--full]

Runs a few steps in portable arithmetic, natively and under each emulated processor. Compares the hashes of
the weights, the samples and the metrics. Exits 1 if one differs. Needs qemu-x86_64 (Debian: apt-get install
qemu-user), unless --cpu has no value. With --libc it also runs natively with another C library. DIR is an
unpacked libc6 package of a newer Debian release (`dpkg-deb -x libc6_*.deb DIR`). With --full the methods have
the sizes of params.yaml. Without it they are narrow, because an emulated step takes seconds. The emulator
does not vary the C library, the caches or the number of cores.
"""

import argparse
import json
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

CPUS = ["Haswell", "EPYC-Rome"]
NARROW = {"width": 8, "max_width": 16, "batch_size": 8, "components": 2, "steps": 2, "images": 3000,
          "layers": 2}
WORDS = ("weights", "samples", "metrics")


def compute(names: list[str], steps: int, full: bool) -> dict[str, dict[str, str]]:
    """The hashes that this processor computes: {method: {"weights": sha256, …}}."""
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
    extractor = Classifier(ClassifierConfig(images=1, batch_size=8, ema_halflife=1.0, warmup=0.0, decay=0.0,
                                            learning_rate=1e-3, width=8, features=16), shape).eval()
    real = frechet.fit(classify(extractor, pictures, device).features)
    hashes = {}
    for name in names:
        section = dict(content[name])
        narrow = {} if full else {key: value for key, value in NARROW.items() if key in section}
        batch = narrow.get("batch_size", section["batch_size"])
        settings = methods.config_class(name).model_validate({**section, **narrow, "images": batch * steps})
        trainer = Trainer(name, partial(methods.build, name, settings, shape), feed, settings, train, device)
        model = trainer.fit()
        sources = np.concatenate([pictures, pictures]) if model.translates else None
        images = torch.cat(list(sampling.blocks(model, 0, 128, sources=sources))).numpy()
        seen = classify(extractor, images, device)
        numbers = [frechet.distance(real, frechet.fit(seen.features)), inception_score(seen.logits)]
        rounded = [f"{number:.6g}".encode() for number in numbers]
        hashes[name] = {"weights": digest(files.pack_tensors(model.state_dict())),
                        "samples": digest(images.tobytes()),
                        "metrics": digest(seen.features.tobytes(), *rounded)}
    return hashes


def under_libc(folder: Path) -> list[str]:
    """The first words of a command that runs a program with the C library that is unpacked in `folder`."""
    loader = next((found for found in folder.glob("**/ld-linux-x86-64.so.2") if not found.is_symlink()), None)
    if loader is None:
        sys.exit(f"error: {folder}: no ld-linux-x86-64.so.2 in it; "
                 "unpack a libc6 package there with `dpkg-deb -x`")
    libraries = [str(loader.resolve().parent), "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu",
                 sysconfig.get_config_var("LIBDIR")]
    return [str(loader.resolve()), "--library-path", ":".join(libraries)]


def version_of_libc(start: list[str]) -> str:
    """The version of glibc in a process whose command begins with `start`."""
    script = ("import ctypes; version = ctypes.CDLL(None).gnu_get_libc_version; "
              "version.restype = ctypes.c_char_p; print(version().decode())")
    done = subprocess.run([*start, sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def measure(start: list[str], methods: list[str], steps: int, full: bool) -> dict[str, dict[str, str]]:
    """`compute` in a separate process, whose command begins with `start` ([] = natively)."""
    size = ["--full"] if full else []
    command = [*start, sys.executable, __file__, "--compute", "--methods", *methods,
               "--steps", str(steps), *size]
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
    arguments = parser.parse_args()
    if arguments.compute:
        print(json.dumps(compute(arguments.methods, arguments.steps, arguments.full)))
        return 0
    if arguments.cpu and not shutil.which("qemu-x86_64"):
        sys.exit("error: qemu-x86_64 is not installed; on Debian `apt-get install qemu-user`")
    from aigc.core import config

    methods = arguments.methods or config.methods()
    machines = {cpu: ["qemu-x86_64", "-cpu", cpu] for cpu in arguments.cpu}
    if arguments.libc:
        other = under_libc(arguments.libc)
        if version_of_libc(other) == version_of_libc([]):
            sys.exit(f"error: {arguments.libc}: its glibc {version_of_libc(other)} is that of this system; "
                     "unpack the libc6 package of another release")
        machines[f"glibc {version_of_libc(other)}"] = other
    print(f"against this machine, glibc {version_of_libc([])}:")
    native, failed = measure([], methods, arguments.steps, arguments.full), False
    for machine, start in machines.items():
        there = measure(start, methods, arguments.steps, arguments.full)
        for method in methods:
            differing = [word for word in WORDS if native[method][word] != there[method][word]]
            failed = failed or bool(differing)
            verdict = f"differs: {', '.join(differing)}" if differing else "identical"
            print(f"{machine:<12}{method:<12}{verdict}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
