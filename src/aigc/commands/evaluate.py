"""`aigc evaluate`: the pipeline's numbers for pictures that the pipeline did not make."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from aigc.commands import picture
from aigc.core import config, paths, runtime
from aigc.core.errors import DataError
from aigc.data import external
from aigc.data.external import Opened, Selected
from aigc.evaluation import fidelity
from aigc.features.extractor import Seen, open_eye
from aigc.metrics.intervals import Number
from aigc.training.randomness import stream_seed

SMALLEST = 40  # pictures a side, as evaluate.sample_size
WHITE = [255, 255, 255]  # under transparent pixels, where no params.yaml says another background
BETTER = {"fid": "lower", "fid_infinity": "lower", "kid": "lower"}


def run(real: Path, fake: Path, settings: config.Evaluate | None, device: runtime.Device, size: int | None,
        as_json: bool, **overrides: Any) -> int:
    """Judge `fake` against `real`, print a table or JSON, return 0.

    settings: params.yaml's, else the published ones. overrides: what the command line says in their place.
    size: n, by default all that leaves as many real pictures for the floor. What is left out is said on
    stderr.
    """
    sides = open_sides({"real": real, "fake": fake})
    counts = {name: len(side.stack) for name, side in sides.items()}
    n = size or min(counts["real"] // 2, counts["fake"])
    if size is not None and size < SMALLEST:
        raise DataError(f"--n {size}: a sample of fewer than {SMALLEST} pictures says nothing; raise it")
    if n < SMALLEST:
        raise DataError(f"{counts['real']} real and {counts['fake']} fake pictures are too few: half of the "
                        "real ones, "
                        f"and the fake ones, must be {SMALLEST} or more")
    for path, name in ((real, "real"), (fake, "fake")):
        if counts[name] < n:
            raise DataError(f"{path}: {counts[name]} pictures, --n asks for {n}; lower it")
    defaults = {"seed": 0, "precision_neighbours": 3, "coverage_neighbours": 5, "extractor": "classifier",
                "inception_weights": ""}
    merged = {**(settings.model_dump() if settings else defaults), **overrides, "sample_size": n}
    verdict = judge(real, fake, sides, config.Evaluate(**merged), device)
    print(json.dumps(verdict, indent=1, allow_nan=False) if as_json else table(verdict))
    return 0


def open_sides(places: dict[str, Path]) -> dict[str, Opened]:
    """Both sides, checked; notes go to stderr. Raises DataError with what is wrong on either side, in one
    line.
    """
    background = WHITE
    if paths.PARAMS.exists():
        background = config.section("preprocess", config.Preprocess).background
    sides, problems = {}, []
    for name, path in places.items():
        try:
            sides[name] = external.open_pictures(path, background, is_sheet)
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError("; ".join(problems))
    for note in (note for side in sides.values() for note in side.notes):
        print(note, file=sys.stderr)
    shapes = {name: side.stack.shape for name, side in sides.items()}
    if shapes["real"][2:] != shapes["fake"][2:]:
        raise DataError(f"{places['fake']}: (height, width) are {shapes['fake'][2:]}, those of "
                        f"{places['real']} are "
                        f"{shapes['real'][2:]}; resize one side as the other was")
    if shapes["real"][1] != shapes["fake"][1]:
        grey = min(shapes, key=lambda name: shapes[name][1])
        print(f"{places[grey]}: grey, the other side is not; it is judged as colour", file=sys.stderr)
    return sides


def is_sheet(path: Path) -> bool:
    """Whether a file is a contact sheet that `aigc generate` wrote beside its pictures."""
    found = picture.examine(path) if "-sheet" in path.stem else None
    return bool(found and found.claim and found.claim.is_sheet)


def judge(real: Path, fake: Path, sides: dict[str, Opened], settings: config.Evaluate,
          device: runtime.Device) -> dict[str, Any]:
    """{"metrics": {name: value, low, high, floor, ceiling}, "protocol": {…}}.

    In a seeded order, because files may be sorted by class.
    """
    eye, n = open_eye(settings, device), settings.sample_size
    channels = max(side.stack.shape[1] for side in sides.values())
    order = {name: np.random.default_rng(stream_seed(settings.seed, name)).permutation(len(side.stack))
             for name, side in sides.items()}

    def look(name: str, rows: np.ndarray, path: Path) -> Seen:
        return fidelity.look(eye, Selected(sides[name].stack, rows, channels), str(path), n)

    reference = fidelity.of(look("real", order["real"][:n], real).features, settings)
    metrics = fidelity.measure(reference, look("fake", order["fake"], fake), settings)
    rest = order["real"][n:]
    if len(rest) >= n:
        for name, number in fidelity.measure(reference, look("real", rest, real), settings).items():
            metrics[name]["floor"] = number["value"]
    noise = fidelity.Noise((n, channels, *sides["real"].stack.shape[2:]), settings.seed)
    for name, number in fidelity.measure(reference, fidelity.look(eye, noise, "noise", n), settings).items():
        metrics[name]["ceiling"] = number["value"]
    protocol = {
        **eye.protocol(), "n": n, "seed": settings.seed,
        "precision_neighbours": settings.precision_neighbours,
        "coverage_neighbours": settings.coverage_neighbours, "intervals": fidelity.INTERVALS,
        "floor_samples": len(rest) if len(rest) >= n else 0,
        "ceiling": "uniform noise against the same real pictures, same n",
        **{name: {"path": str(path), "pictures": len(sides[name].stack), "sha256": sides[name].sha256,
                  **sides[name].protocol} for name, path in (("real", real), ("fake", fake))},
    }
    return {"metrics": metrics, "protocol": protocol}


def table(verdict: dict[str, Any]) -> str:
    """The verdict for a person."""
    protocol, metrics = verdict["protocol"], verdict["metrics"]
    lines = [f"{'metric':<14}{'value':>11}   {'95% interval':<25}{'floor':>11}{'ceiling':>11}   better"]
    lines += [f"{name:<14}{number['value']:>11.5g}   {_interval(number):<25}{_beside(number, 'floor'):>11}"
              f"{_beside(number, 'ceiling'):>11}   "
              f"{BETTER.get(name, 'higher')}" for name, number in metrics.items()]
    floor = (f"floor: {protocol['floor_samples']} other real pictures against the same real ones"
             if protocol["floor_samples"] else "no floor: it needs twice n real pictures; lower --n")
    return "\n".join([
        *lines, "", f"n = {protocol['n']} real pictures of {protocol['real']['pictures']}, "
        f"{protocol['fake']['pictures']} fake; {floor}; ceiling: uniform noise.",
        f"extractor: {protocol['extractor']}, sha256 {protocol['extractor_sha256'][:16]}. "
        "Compare only with numbers through the same extractor at the same n."])


def _interval(number: Number) -> str:
    return f"{number['low']:.5g} to {number['high']:.5g}" if "low" in number else "–"


def _beside(number: Number, what: str) -> str:
    return f"{number[what]:.5g}" if what in number else "–"
