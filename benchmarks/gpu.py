"""Does `runtime.arithmetic: fast` work on this machine's GPU, and how fast is it? One table.

    PYTHONPATH=src python benchmarks/gpu.py [--methods dcgan flow] [--steps 600] [--size 32] [--channels 3]

2 to 4 minutes on a large card, 7 at most. Writes to a temporary folder. Pictures: scikit-learn's 1,797
digits, enlarged. A check that raises is reported and the rest goes on; the exit code is the number of checks
that failed. Without a GPU a few steps run on the CPU. What was seen belongs into docs/gpu.md.
"""

import argparse
import os
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
parser.add_argument("--methods", nargs="+", help="default: those of params.yaml")
parser.add_argument("--steps", type=int, default=600, help="of each training; 8 at most on a CPU (600)")
parser.add_argument("--size", type=int, default=32, help="pixels a side (32)")
parser.add_argument("--channels", type=int, default=3, help="1 or 3 (3)")
parser.add_argument("--seconds", type=float, default=420, help="no check starts after so many (420)")
parser.add_argument("--threads", type=int, default=min(16, os.cpu_count() or 1))
ASKED, BEGAN = parser.parse_args(), time.monotonic()

from aigc.core import runtime

runtime.cap_environment("fast", ASKED.threads)
import numpy as np
import torch

from aigc import methods
from aigc.core import config
from aigc.core.runtime import Device
from aigc.evaluation.device_pairs import DevicePairs
from aigc.features.classifier import Classifier, ClassifierConfig, classify
from aigc.metrics import frechet, kernel, memorization, neighbours, pairs
from aigc.model import sampling
from aigc.model.contract import Method, Shape
from aigc.training.checkpoint import Checkpoints
from aigc.training.config import TrainConfig
from aigc.training.feed import Feed
from aigc.training.loop import Trainer

FAST = runtime.start_torch("fast", ASKED.threads)
GPU = FAST.torch_device.type == "cuda"
if not GPU:
    FAST = replace(FAST, low_precision=torch.bfloat16)
EAGER = replace(FAST, compiles=False)
FP32 = Device(FAST.torch_device, channels_last=False, low_precision=None)  # on a GPU products are TF32
STEPS, LARGER, BLOCKS = (ASKED.steps, 16, 16) if GPU else (min(ASKED.steps, 8), 2, 1)
TRAIN = TrainConfig(seed=0, intervals=1, checkpoints=1)
CLASSIFIER = ClassifierConfig(images=64 * (600 if GPU else 10), batch_size=64, ema_halflife=2000.0,
                              warmup=0.05, decay=0.5, learning_rate=0.002, width=12, features=64)
OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("dcgan", {"spectral_norm": True, "translate": 0.125, "cutout": 0.3, "brightness": 0.5,
               "instance_noise": 0.1, "r2": 1.0}),
    ("gan", {"loss": "relativistic"}), ("gan", {"loss": "hinge"}), ("wgan_gp", {"n_critic": 2}),
    ("flow", {"dropout": 0.1, "attention": [ASKED.size // 4], "solver": "midpoint"}),
    ("vae", {"trunk": "convolution", "likelihood": "gaussian", "deviation": 0.3, "kl_warmup": 0.5}),
    ("autoencoder", {"trunk": "convolution", "likelihood": "gaussian"})]
FAILED: list[str] = []
SCRATCH = tempfile.TemporaryDirectory(prefix="aigc-gpu-")
CONTENT = config.read()


@contextmanager
def check(what: str) -> Iterator[None]:
    """What the block raises is printed and counted."""
    try:
        if time.monotonic() - BEGAN > ASKED.seconds:
            raise TimeoutError(f"left out: {ASKED.seconds:.0f} s are over")
        yield
    except Exception as error:
        frames = [f"{Path(frame.filename).name}:{frame.lineno}"
                  for frame in traceback.extract_tb(error.__traceback__)[-4:]]
        reason = " ".join(str(error).split())[:300]
        FAILED.append(f"{what}: {type(error).__name__}: {reason} at {' > '.join(frames)}")
        print(f"  FAILED {FAILED[-1]}", flush=True)


def require(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise AssertionError(otherwise)


def now() -> float:
    """The time, after the device has done all of its work."""
    if GPU:
        torch.cuda.synchronize()
    return time.perf_counter()


def pictures() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    found, side = load_digits(), (ASKED.size, ASKED.size)
    small = torch.from_numpy(found.images).float()[:, None] * 255 / 16
    large = torch.nn.functional.interpolate(small, size=side, mode="bilinear").round().clamp(0, 255)
    images = large.to(torch.uint8).expand(-1, ASKED.channels, -1, -1).contiguous().numpy()
    return images, found.target.astype(np.int64)


IMAGES, LABELS = pictures()
SHAPE = Shape(ASKED.channels, ASKED.size, 10)


def trainer(name: str, device: Device, folder: str, steps: int = STEPS, **other: Any) -> Trainer:
    section = {**CONTENT[name], **other}
    section["images"] = steps * section["batch_size"] * section.get("n_critic", 1)
    chosen = methods.load_config(name, {name: section})
    return Trainer(name, lambda: methods.build(name, chosen, SHAPE), Feed(IMAGES, LABELS, 0, device), chosen,
                   TRAIN, device, Checkpoints(Path(SCRATCH.name) / folder))


def go(run: Trainer, until: int, warm_up: int = 0) -> float:
    """Train to step `until`; returns pictures a second after step `warm_up`."""
    while run.step < warm_up:
        run.pending += run.train_step()
    started, first = now(), run.step
    while run.step < until:
        run.pending += run.train_step()
    return (run.step - first) * run.schedule.batch / (now() - started)


def are_same(one: Trainer, other: Trainer) -> bool:
    both = [(one.model, other.model), (one.ema.model, other.ema.model)]
    return all(torch.equal(a, b) for x, y in both
               for a, b in zip(x.state_dict().values(), y.state_dict().values(), strict=True))


def waits(run: Trainer) -> list[str]:
    """Where one step makes the host wait for the device, as file:line."""
    places: list[str] = []

    def note(*_: object, **__: object) -> None:
        ours = [frame for frame in traceback.extract_stack() if f"src{os.sep}aigc{os.sep}" in frame.filename]
        places.extend(f"{Path(frame.filename).name}:{frame.lineno}" for frame in ours[-1:])

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        torch.cuda.set_sync_debug_mode("warn")
        run.train_step()
        torch.cuda.set_sync_debug_mode("default")
    return places


def kernels(run: Trainer, steps: int = 10) -> tuple[float, float]:
    """Kernels and copies a step, and the share of a step's time in which the GPU works."""
    from torch.profiler import ProfilerActivity, profile

    started = now()
    go(run, run.step + steps)
    wall = now() - started
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        go(run, run.step + steps)
    events = [one for one in found.events() if str(one.device_type).endswith("CUDA") and "#" not in one.name]
    return len(events) / steps, sum(event.time_range.elapsed_us() for event in events) / 1e6 / wall


def drawn(method: Method, count: int) -> torch.Tensor:
    sources = IMAGES[np.arange(count) % len(IMAGES)] if method.translates else None
    return torch.cat(list(sampling.blocks(method, 0, count, sources=sources)))


def fid(eye: Classifier, real: frechet.Gaussian, method: object) -> float:
    assert isinstance(method, Method)
    made = drawn(method, 1000 if GPU else 200).numpy()
    return frechet.distance(real, frechet.fit(classify(eye, made, FAST).features))


def same_bytes(name: str, run: Trainer, row: dict[str, str]) -> None:
    again, once_more = (trainer(name, FAST, f"{name}-{copy}") for copy in "bc")
    go(again, STEPS // 2), go(once_more, STEPS // 2)
    again.save()
    resumed = trainer(name, FAST, f"{name}-b")
    resumed.resume()
    go(resumed, STEPS)
    for column, pair in (("twice", (again, once_more)), ("resumed", (run, resumed))):
        row[column] = "same" if are_same(*pair) else "OTHER"
    require(row["twice"] == row["resumed"] == "same", "other bytes")


def pace_of_steps(name: str, row: dict[str, str]) -> None:
    if FAST.compiles:
        with check(f"{name}: not compiled"):
            eager = trainer(name, EAGER, "eager")
            row["img/s, eager"] = f"{go(eager, STEPS, STEPS // 10):,.0f}"
    with check(f"{name}: waits and kernels"):
        if GPU:
            extra = trainer(name, FAST, "extra", 100_000)
            go(extra, 5)
            places, (count, busy) = waits(extra), kernels(extra)
            row["waits"], row["kernels"], row["GPU busy"] = str(len(places)), f"{count:.0f}", f"{busy:.0%}"
            print(f"  {name}: a step waits for the device at {', '.join(places) or 'no place'}", flush=True)
    with check(f"{name}: batch times {LARGER}"):
        larger = trainer(name, FAST, "larger", max(4, STEPS // 10),
                         batch_size=LARGER * CONTENT[name]["batch_size"])
        row[f"img/s, batch x{LARGER}"] = f"{go(larger, larger.schedule.steps, 2):,.0f}"


def one_method(name: str, eye: Classifier, real: frechet.Gaussian) -> dict[str, str]:
    row = {"method": name, "batch": str(CONTENT[name]["batch_size"])}
    with check(f"{name}: {STEPS} steps in {FAST.precision}"):
        if GPU:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        run = trainer(name, FAST, f"{name}-a")
        row["img/s"] = f"{go(run, STEPS, STEPS // 10):,.0f}"
        row["MiB"] = f"{torch.cuda.max_memory_allocated() / 2**20:.0f}" if GPU else "-"
        losses = run.history_row()
    with check(f"{name}: the same bytes twice and after a stop"):
        same_bytes(name, run, row)
    pace_of_steps(name, row)
    with check(f"{name}: samples"):
        run.finish()
        average = run.ema.model.eval()
        assert isinstance(average, Method)
        twice = [drawn(average, 150) for _ in range(2)]
        require(torch.equal(*twice), "two samplings of one seed differ")
        row["samples/s"] = f"{sampling.pace(average, BLOCKS * sampling.BLOCK):,.0f}"
        rng = torch.Generator(FAST.torch_device).manual_seed(0)
        with torch.inference_mode():
            own = average.own_measures(*run.feed.batch(0, 32), rng)
        require(all(value.float().isfinite().all().item() for value in own.values()), "not finite")
    with check(f"{name}: fp32"):
        exact = trainer(name, FP32, f"{name}-d")
        row["img/s, fp32"] = f"{go(exact, STEPS, STEPS // 10):,.0f}"
        other = exact.history_row()
        row["loss low/fp32"] = " ".join(f"{losses[key]:.3g}/{other[key]:.3g}"
                                        for key in losses if key.startswith("loss"))
        exact.finish()
        row["FID low/fp32"] = f"{fid(eye, real, run.ema.model):.0f}/{fid(eye, real, exact.ema.model):.0f}"
    return row


def train_classifier() -> Classifier:
    eye = Classifier(CLASSIFIER, SHAPE).place_on(FAST).eval()
    for classes, labels in ((0, LABELS * 0 - 1), (10, LABELS)):
        with check(f"classifier, {classes} classes"):
            run = Trainer("eye", lambda n=classes: Classifier(CLASSIFIER, replace(SHAPE, classes=n)),
                          Feed(IMAGES, labels, 0, FAST), CLASSIFIER, TRAIN, FAST)
            print(f"  classifier, {classes} classes: {go(run, run.schedule.steps, 3):,.0f} img/s, loss "
                  f"{run.history_row()['loss/classifier']:.3f}", flush=True)
            assert isinstance(run.ema.model, Classifier)
            eye = run.ema.model.eval()
    return eye


def check_feeds() -> None:
    np.save(f"{SCRATCH.name}/images.npy", IMAGES)
    mapped = np.load(f"{SCRATCH.name}/images.npy", mmap_mode="r")
    changes: dict[str, Any] = {"mirror": True, "shift": 2, "crop": 0.8, "balanced": True}
    for label, how in (("plain", {}), ("changed", changes)):
        kept = Feed(IMAGES, LABELS, 0, FAST, **how)
        streamed = Feed(mapped, LABELS, 0, FAST, memory=1000, **how)
        both = [(kept.batch(step, 64), streamed.batch(step, 64)) for step in (0, 1, 2, 9, 3)]
        require(all(torch.equal(a, b) for one, other in both for a, b in zip(one, other, strict=True)),
                f"{label}: on the device and streamed differ")
        for place, feed in (("on the device", kept), ("streamed", streamed)):
            started = now()
            for step in range(10, 40):
                feed.batch(step, 256)
            print(f"  pictures {label}, {place}: {30 * 256 / (now() - started):,.0f} a second", flush=True)


def check_pairs() -> None:
    """The time of large evaluations, with numpy and on the device; the results must agree."""
    x = np.random.default_rng(0).standard_normal((2000, 2048) if GPU else (300, 256))
    training = memorization.TrainingPoints.of(memorization.as_points(IMAGES))
    jobs: list[tuple[str, Callable[[], np.ndarray], float]] = [
        (f"neighbours of 50,000 in {x.shape[1]}", lambda: neighbours.knn_balls(x, 3).squared_radii,
         (5e4 / len(x))**2),
        (f"KID of 50,000 in {x.shape[1]}", lambda: np.array([kernel.kid(x, x + 0.1).value]),
         (5e4 / len(x))**2),
        ("copies among 10,000 of 40,000",
         lambda: memorization.find_nearest_augmented(IMAGES[:200], training).distance, 2e6 / len(IMAGES))]
    for what, work, scale in jobs:
        answers, seconds = [], []
        for by in (pairs.Pairs(), DevicePairs(FAST.torch_device)):
            pairs.compute_with(by)
            work()
            started = now()
            answers.append(work())
            seconds.append((now() - started) * scale)
        print(f"  {what}, estimated: numpy {seconds[0]:,.1f} s on {ASKED.threads} threads, device "
              f"{seconds[1]:,.1f} s", flush=True)
        require(np.allclose(*answers, rtol=1e-9), f"{what}: the device gives another result")


def main() -> int:
    print(f"torch {torch.__version__}, {FAST}, {ASKED.threads} threads, {STEPS} steps, {SHAPE}", flush=True)
    eye = train_classifier()
    real = frechet.fit(classify(eye, IMAGES, FAST).features)
    with check("pictures on the device and streamed"):
        check_feeds()
    for name, other in OPTIONS:
        with check(f"{name} with {other}"):
            run = trainer(name, FAST, "options", 6, **other)
            go(run, 6)
            run.history_row()
    names = ASKED.methods or CONTENT["methods"]
    rows = [one_method(name, eye, real) for name in names]
    with check("pairs on the device"):
        check_pairs()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    for row in [dict(zip(columns, columns, strict=True)), *rows]:
        print("  ".join(row.get(key, "-").rjust(max(len(key), *(len(one.get(key, "-")) for one in rows)))
                        for key in columns))
    print(f"{time.monotonic() - BEGAN:.0f} s, {len(FAILED)} checks failed", *FAILED, sep="\n  ")
    return len(FAILED)


if __name__ == "__main__":
    with SCRATCH:
        sys.exit(main())
