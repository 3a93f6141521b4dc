"""`aigc evaluate`: the pipeline's metrics for pictures that the pipeline did not make."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from aigc.core import config, paths, runtime
from aigc.core.errors import DataError
from aigc.core.randomness import Purpose, stream_seed
from aigc.data import external
from aigc.data.config import PreprocessConfig
from aigc.data.external import Opened, Selected
from aigc.evaluation import fidelity
from aigc.evaluation.config import EvaluateConfig
from aigc.evaluation.fidelity import Extractors
from aigc.features.contract import PictureStack
from aigc.features.extractor import open_extractor
from aigc.metrics.intervals import Number
from aigc.metrics.table import METRICS

SMALLEST = 40  # pictures a side, as evaluate.sample_size
WHITE = [255, 255, 255]  # under transparent pixels, where no params.yaml names another background
BETTER = {metric.name: metric.better for metric in METRICS}
IsSheet = Callable[[Path], bool]


def run(real: Path, fake: Path, settings: EvaluateConfig, device: runtime.Device, size: int | None, as_json: bool,
        is_sheet: IsSheet) -> int:
    """Judge `fake` against `real`, print a table or JSON, return 0. What is left out is said on stderr.

    size: n, by default all that leaves as many real pictures for the floor. is_sheet: whether a file is a contact sheet
    of `aigc generate`, which is not judged.
    """
    sides = open_sides({"real": real, "fake": fake}, is_sheet)
    counts = {name: len(side.stack) for name, side in sides.items()}
    n = size or min(counts["real"] // 2, counts["fake"])
    if size is not None and size < SMALLEST:
        raise DataError(f"--n {size}: a sample of fewer than {SMALLEST} pictures says nothing; raise it")
    if n < SMALLEST:
        raise DataError(f"{counts['real']} real and {counts['fake']} fake pictures are too few: half of the real ones, and "
                        f"the fake ones, must be {SMALLEST} or more")
    for path, name in ((real, "real"), (fake, "fake")):
        if counts[name] < n:
            raise DataError(f"{path}: {counts[name]} pictures, --n asks for {n}; lower it")
    verdict = judge({"real": real, "fake": fake}, sides, settings.model_copy(update={"sample_size": n}), device)
    print(json.dumps(verdict, indent=1, allow_nan=False) if as_json else table(verdict))
    return 0


def open_sides(places: dict[str, Path], is_sheet: IsSheet) -> dict[str, Opened]:
    """Both sides, checked; notes go to stderr. Raises DataError with what is wrong on either side, in one line."""
    background = WHITE
    if paths.PARAMS.exists():
        background = config.section("preprocess", PreprocessConfig).background
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


def judge(places: dict[str, Path], sides: dict[str, Opened], settings: EvaluateConfig,
          device: runtime.Device) -> dict[str, Any]:
    """{"metrics": {name: value, low, high, floor, ceiling}, "protocol": {…}}.

    In a seeded order, because files may be sorted by class.
    """
    main = open_extractor(settings.extractor, device, settings.inception_weights)
    extract, n = Extractors(main, settings, device).extract, settings.sample_size
    channels = max(side.stack.shape[1] for side in sides.values())
    order = {name: np.random.default_rng(stream_seed(settings.seed, Purpose.SIDE, of=name)).permutation(len(side.stack))
             for name, side in sides.items()}
    metric_settings, rest = fidelity.settings_of(settings), order["real"][n:]

    def selected(name: str, rows: np.ndarray) -> tuple[PictureStack, str]:
        return Selected(sides[name].stack, rows, channels), str(places[name])

    real = fidelity.real_sides(extract(*selected("real", order["real"][:n]), n), metric_settings)
    measured = {"fake": selected("fake", order["fake"])}
    if len(rest) >= n:
        measured["floor"] = selected("real", rest)
    measured["ceiling"] = fidelity.Noise((n, channels, *sides["real"].stack.shape[2:]), settings.seed), "noise"
    found = {what: fidelity.measure(real, extract(*stack, n), metric_settings) for what, stack in measured.items()}
    protocol = fidelity.protocol(
        main, settings, floor_samples=len(rest) if len(rest) >= n else 0,
        ceiling="uniform noise against the same real pictures, same n",
        **{name: {"path": str(path), "pictures": len(sides[name].stack), "sha256": sides[name].sha256,
                  **sides[name].protocol} for name, path in places.items()})
    return {"metrics": fidelity.beside(found.pop("fake"), **found), "protocol": protocol}


def table(verdict: dict[str, Any]) -> str:
    """The verdict for a person."""
    protocol, metrics = verdict["protocol"], verdict["metrics"]
    lines = [f"{'metric':<14}{'value':>11}   {'95% interval':<25}{'floor':>11}{'ceiling':>11}   better"]
    lines += [f"{name:<14}{number['value']:>11.5g}   {_interval(number):<25}{_beside(number, 'floor'):>11}"
              f"{_beside(number, 'ceiling'):>11}   "
              f"{BETTER[name]}" for name, number in metrics.items()]
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
