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
from aigc.data.external import Opened
from aigc.evaluation import device_pairs, fidelity, ruler_marks
from aigc.evaluation.config import EvaluateConfig
from aigc.evaluation.fidelity import Extractors, Selected
from aigc.features.contract import PictureStack
from aigc.features.extractor import open_extractor
from aigc.metrics import ruler, table
from aigc.metrics.intervals import Number

SMALLEST = 40  # the least sample size, as of evaluate.sample_size
WHITE = [255, 255, 255]  # the background of transparent pixels if there is no params.yaml
IsSheet = Callable[[Path], bool]


def run(real: Path, fake: Path, settings: EvaluateConfig, device: runtime.Device, size: int | None,
        as_json: bool,
        is_sheet: IsSheet, with_ruler: bool = False) -> int:
    """Measure `fake` against `real`, print a table or JSON, return 0. Files that are left out are reported on
    stderr.

    size: the sample size n; by default as large as possible with n real pictures left for the floor.
    is_sheet: whether a file is a contact sheet of `aigc generate`, which is left out. with_ruler: whether
    blurred real pictures are measured too, to say which blur is as far from real pictures as `fake` is.
    """
    sides = open_sides({"real": real, "fake": fake}, is_sheet)
    counts = {name: len(side.stack) for name, side in sides.items()}
    n = size or min(counts["real"] // 2, counts["fake"])
    if size is not None and size < SMALLEST:
        raise DataError(f"--n {size}: fewer than {SMALLEST} pictures are too few for any metric; raise it")
    if n < SMALLEST:
        raise DataError(f"{counts['real']} real and {counts['fake']} fake pictures are too few: half of the "
                        f"real ones, and the fake ones, must be {SMALLEST} or more")
    for path, name in ((real, "real"), (fake, "fake")):
        if counts[name] < n:
            raise DataError(f"{path}: {counts[name]} pictures, --n asks for {n}; lower it")
    if with_ruler and counts["real"] < 2 * n:
        raise DataError(f"{real}: {counts['real']} pictures, the ruler needs {2 * n}, twice n; lower --n")
    result = measure({"real": real, "fake": fake}, sides, settings.model_copy(update={"sample_size": n}),
                     device, with_ruler)
    print(json.dumps(result, indent=1, allow_nan=False) if as_json else as_text(result))
    return 0


def open_sides(places: dict[str, Path], is_sheet: IsSheet) -> dict[str, Opened]:
    """Open and check both sets; notes go to stderr. Raises DataError with the problems of both in one line.
    """
    background = WHITE
    content = config.read() if paths.PARAMS.exists() else {}
    if "preprocess" in content:  # not in the params.yaml of another project
        background = config.section("preprocess", PreprocessConfig, content).background
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
                        f"{places['real']} are {shapes['real'][2:]}; resize one set to the size of the other")
    if shapes["real"][1] != shapes["fake"][1]:
        grey = min(shapes, key=lambda name: shapes[name][1])
        print(f"{places[grey]}: grey, and the other set is not; it is converted to colour", file=sys.stderr)
    return sides


def measure(places: dict[str, Path], sides: dict[str, Opened], settings: EvaluateConfig,
            device: runtime.Device, with_ruler: bool = False) -> dict[str, Any]:
    """{"metrics": {name: value, low, high, floor, ceiling}, "protocol": {…}}, and "ruler": {blur: metrics}.

    Pictures are taken in a seeded random order, because files may be sorted by class.
    """
    device_pairs.use(device)
    main = open_extractor(settings.extractor, device, settings.extractor_weights)
    extractors, n = Extractors(main, settings, device), settings.sample_size
    channels = max(side.stack.shape[1] for side in sides.values())
    order = {name: np.random.default_rng(stream_seed(settings.seed, Purpose.SIDE,
                                                     of=name)).permutation(len(side.stack))
             for name, side in sides.items()}
    metric_settings, rest = fidelity.settings_of(settings), order["real"][n:]

    def selected(name: str, rows: np.ndarray) -> tuple[PictureStack, str]:
        return Selected(sides[name].stack, rows, channels), str(places[name])

    real = fidelity.real_statistics(extractors.extract(*selected("real", order["real"][:n]), n),
                                    metric_settings)
    stacks = {"fake": selected("fake", order["fake"])}
    if len(rest) >= n:
        stacks["floor"] = selected("real", rest)
    stacks["ceiling"] = fidelity.Noise((n, channels, *sides["real"].stack.shape[2:]), settings.seed), "noise"
    if with_ruler:
        undamaged, place = selected("real", rest[:n])
        stacks |= {name: (stack, place) for name, stack in ruler_marks.blurred(undamaged[0:n], settings.seed)}
    numbers = {name: fidelity.measure(real, extractors.extract(*stack, n), metric_settings)
               for name, stack in stacks.items()}
    protocol = fidelity.protocol(
        extractors, settings, floor_samples=len(rest) if len(rest) >= n else 0,
        ceiling="uniform noise against the same real pictures, same n",
        **{name: {"path": str(path), "pictures": len(sides[name].stack), "sha256": sides[name].sha256,
                  **sides[name].protocol} for name, path in places.items()})
    marks = {ruler.UNDAMAGED: numbers["floor"], **{name: numbers.pop(name) for name in ruler.BLURS
                                                   if name in numbers}} if with_ruler else {}
    return {"metrics": fidelity.with_references(numbers.pop("fake"), **numbers), "protocol": protocol,
            **({"ruler": marks} if marks else {})}


def as_text(result: dict[str, Any]) -> str:
    """The result of `measure` as a table for the terminal."""
    protocol, metrics = result["protocol"], result["metrics"]
    better = {metric.name: metric.better for metric in table.METRICS}
    lines = [f"{'metric':<14}{'value':>11}   {'95% interval':<25}{'floor':>11}{'ceiling':>11}   better"]
    lines += [f"{name:<14}{number['value']:>11.5g}   {_interval(number):<25}{_reference(number, 'floor'):>11}"
              f"{_reference(number, 'ceiling'):>11}   {better[name]}" for name, number in metrics.items()]
    floor = (f"floor: {protocol['floor_samples']} other real pictures against the same real ones"
             if protocol["floor_samples"] else "no floor: it needs twice n real pictures; lower --n")
    return "\n".join([
        *lines, "", *_on_ruler(metrics, result.get("ruler")),
        f"n = {protocol['n']} real pictures of {protocol['real']['pictures']}, "
        f"{protocol['fake']['pictures']} fake; {floor}; ceiling: uniform noise.",
        f"extractor: {protocol['extractor']}, sha256 {protocol['extractor_sha256'][:16]}. "
        "Compare only with numbers of the same extractor at the same n."])


def _on_ruler(metrics: dict[str, Number], marks: ruler.Marks | None) -> list[str]:
    if not marks:
        return []
    problem = ruler.disorder(marks)
    if problem:
        return [f"The extractor cannot judge these pictures: {problem}."]
    blur = ruler.as_far_as(metrics["fid"]["value"], marks)
    return [f"By FID, the fake pictures are as far from real pictures as: {blur}."]


def _interval(number: Number) -> str:
    return f"{number['low']:.5g} to {number['high']:.5g}" if "low" in number else "–"


def _reference(number: Number, name: str) -> str:
    return f"{number[name]:.5g}" if name in number else "–"
