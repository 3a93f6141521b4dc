"""`aigc evaluate`: the pipeline's numbers for pictures that the pipeline did not make."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from aigc.commands import given
from aigc.core import config, runtime
from aigc.core.errors import DataError
from aigc.evaluation import fidelity
from aigc.features.extractor import open_eye
from aigc.metrics.intervals import Number
from aigc.training.randomness import stream_seed

SMALLEST = 40  # pictures a side, as evaluate.sample_size
BETTER = {"fid": "lower", "fid_infinity": "lower", "kid": "lower"}


def run(real: Path, fake: Path, chosen: config.Evaluate | None, device: runtime.Device, size: int | None, as_json: bool,
        **settings: Any) -> int:
    """Judge `fake` against `real`, print a table or JSON, return 0. chosen: params.yaml's, else the published settings.

    size: n, by default all that leaves as many real pictures for the floor. settings: what the command line overrides.
    """
    stacks = {"real": given.open_pictures(real), "fake": given.open_pictures(fake)}
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
    defaults = {"seed": 0, "precision_neighbours": 3, "coverage_neighbours": 5, "extractor": "classifier", "inception_weights": ""}
    merged = {**(chosen.model_dump() if chosen else defaults), **settings, "sample_size": n}
    verdict = judge(real, fake, stacks, config.Evaluate(**merged), device)
    print(json.dumps(verdict, indent=1, allow_nan=False) if as_json else table(verdict))
    return 0


def judge(real: Path, fake: Path, stacks: dict[str, Any], chosen: config.Evaluate, device: runtime.Device) -> dict[str, Any]:
    """{"metrics": {name: value, low, high, floor, ceiling}, "protocol": {…}}. Files may be sorted by class, hence the seeded order."""
    eye, n = open_eye(chosen, device), chosen.sample_size
    order = {name: np.random.default_rng(stream_seed(chosen.seed, name)).permutation(len(stack)) for name, stack in stacks.items()}
    truth = fidelity.look(eye, given.Picked(stacks["real"], order["real"][:n]), str(real), n)
    side = fidelity.of(truth.features, chosen)
    metrics = fidelity.measure(side, fidelity.look(eye, given.Picked(stacks["fake"], order["fake"]), str(fake), n), chosen)
    rest = order["real"][n:]
    if len(rest) >= n:
        floor = fidelity.measure(side, fidelity.look(eye, given.Picked(stacks["real"], rest), str(real), n), chosen)
        for name, number in floor.items():
            metrics[name]["floor"] = number["value"]
    noise = fidelity.Noise((n, *stacks["real"].shape[1:]), chosen.seed)
    for name, number in fidelity.measure(side, fidelity.look(eye, noise, "noise", n), chosen).items():
        metrics[name]["ceiling"] = number["value"]
    protocol = {
        **eye.protocol(), "n": n, "seed": chosen.seed, "precision_neighbours": chosen.precision_neighbours,
        "coverage_neighbours": chosen.coverage_neighbours, "intervals": fidelity.INTERVALS,
        "floor_samples": len(rest) if len(rest) >= n else 0, "ceiling": "uniform noise against the same real pictures, same n",
        "real": {"path": str(real), "pictures": len(stacks["real"]), "sha256": given.sha256(real, stacks["real"])},
        "fake": {"path": str(fake), "pictures": len(stacks["fake"]), "sha256": given.sha256(fake, stacks["fake"])},
    }
    return {"metrics": metrics, "protocol": protocol}


def table(verdict: dict[str, Any]) -> str:
    """The verdict for a person."""
    protocol, metrics = verdict["protocol"], verdict["metrics"]
    lines = [f"{'metric':<14}{'value':>11}   {'95% interval':<25}{'floor':>11}{'ceiling':>11}   better"]
    lines += [f"{name:<14}{number['value']:>11.5g}   {_interval(number):<25}{_beside(number, 'floor'):>11}{_beside(number, 'ceiling'):>11}   {BETTER.get(name, 'higher')}"
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
