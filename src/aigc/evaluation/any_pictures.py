"""`aigc evaluate`: the pipeline's numbers for pictures that the pipeline did not make."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from aigc.core import runtime
from aigc.core.errors import DataError
from aigc.core.randomness import Purpose, stream_seed
from aigc.data import external
from aigc.evaluation import fidelity
from aigc.evaluation.config import EvaluateConfig
from aigc.evaluation.fidelity import Extractors
from aigc.features.contract import PictureStack
from aigc.features.extractor import open_extractor
from aigc.metrics.intervals import Number
from aigc.metrics.table import METRICS

SMALLEST = 40  # pictures a side, as evaluate.sample_size
BETTER = {metric.name: metric.better for metric in METRICS}


def run(real: Path, fake: Path, settings: EvaluateConfig, device: runtime.Device, size: int | None, as_json: bool) -> int:
    """Judge `fake` against `real`, print a table or JSON, return 0.

    size: n, by default all that leaves as many real pictures for the floor.
    """
    stacks = {"real": external.open_pictures(real), "fake": external.open_pictures(fake)}
    if stacks["real"].shape[1:] != stacks["fake"].shape[1:]:
        raise DataError(f"{fake}: (channels, height, width) are {stacks['fake'].shape[1:]}, those of {real} are "
                        f"{stacks['real'].shape[1:]}; resize one side as the other was")
    n = size or min(len(stacks["real"]) // 2, len(stacks["fake"]))
    if size is not None and size < SMALLEST:
        raise DataError(f"--n {size}: a sample of fewer than {SMALLEST} pictures says nothing; raise it")
    if n < SMALLEST:
        raise DataError(f"{len(stacks['real'])} real and {len(stacks['fake'])} fake pictures are too few: half of the real ones, and the "
                        f"fake ones, must be {SMALLEST} or more")
    for path, name in ((real, "real"), (fake, "fake")):
        if len(stacks[name]) < n:
            raise DataError(f"{path}: {len(stacks[name])} pictures, --n asks for {n}; lower it")
    verdict = judge(real, fake, stacks, settings.model_copy(update={"sample_size": n}), device)
    print(json.dumps(verdict, indent=1, allow_nan=False) if as_json else table(verdict))
    return 0


def judge(real: Path, fake: Path, stacks: dict[str, Any], settings: EvaluateConfig, device: runtime.Device) -> dict[str, Any]:
    """{"metrics": {name: value, low, high, floor, ceiling}, "protocol": {…}}. Files may be sorted by class,
    hence a seeded order.
    """
    main = open_extractor(settings.extractor, device, settings.inception_weights)
    extract, n = Extractors(main, settings, device).extract, settings.sample_size
    order = {name: np.random.default_rng(stream_seed(settings.seed, Purpose.SIDE, of=name)).permutation(len(stack))
             for name, stack in stacks.items()}
    metric_settings, rest = fidelity.settings_of(settings), order["real"][n:]
    sides = fidelity.real_statistics(extract(external.Picked(stacks["real"], order["real"][:n]), str(real), n), metric_settings)
    measured: dict[str, tuple[PictureStack, str]] = {"fake": (external.Picked(stacks["fake"], order["fake"]), str(fake))}
    if len(rest) >= n:
        measured["floor"] = (external.Picked(stacks["real"], rest), str(real))
    measured["ceiling"] = (fidelity.Noise((n, *stacks["real"].shape[1:]), settings.seed), "noise")
    found = {what: fidelity.measure(sides, extract(pictures, place, n), metric_settings)
             for what, (pictures, place) in measured.items()}
    protocol = fidelity.protocol(
        main, settings, floor_samples=len(rest) if len(rest) >= n else 0,
        ceiling="uniform noise against the same real pictures, same n",
        **{name: {"path": str(path), "pictures": len(stacks[name]), "sha256": external.sha256(path, stacks[name])}
           for name, path in (("real", real), ("fake", fake))})
    return {"metrics": fidelity.with_references(found.pop("fake"), **found), "protocol": protocol}


def table(verdict: dict[str, Any]) -> str:
    """The verdict for a person."""
    protocol, metrics = verdict["protocol"], verdict["metrics"]
    lines = [f"{'metric':<14}{'value':>11}   {'95% interval':<25}{'floor':>11}{'ceiling':>11}   better"]
    lines += [f"{name:<14}{number['value']:>11.5g}   {_interval(number):<25}{_beside(number, 'floor'):>11}{_beside(number, 'ceiling'):>11}   {BETTER[name]}"
              for name, number in metrics.items()]
    floor = (f"floor: {protocol['floor_samples']} other real pictures against the same real ones" if protocol["floor_samples"]
             else "no floor: it needs twice n real pictures; lower --n")
    return "\n".join([*lines, "", f"n = {protocol['n']} real pictures of {protocol['real']['pictures']}, "
                      f"{protocol['fake']['pictures']} fake; {floor}; ceiling: uniform noise.",
                      f"extractor: {protocol['extractor']}, sha256 {protocol['extractor_sha256'][:16]}. "
                      "Compare only with numbers through the same extractor at the same n."])


def _interval(number: Number) -> str:
    return f"{number['low']:.5g} to {number['high']:.5g}" if "low" in number else "–"


def _beside(number: Number, what: str) -> str:
    return f"{number[what]:.5g}" if what in number else "–"
