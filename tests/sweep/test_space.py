"""A space is checked against params.yaml before anything runs; a fault is a line that names file and key."""

from typing import Any

import pytest

from aigc.metrics.table import METRICS
from aigc.sweep import space
from small import committed_params

GOOD: dict[str, Any] = {
    "name": "rates", "method": "gan", "objectives": ["fid"], "sampler": "random",
    "parameters": {"gan.generator_lr": {"low": 0.0002, "high": 0.005, "log": True},
                   "gan.r1": {"low": 0, "high": 2, "step": 0.4},
                   "gan.latent": {"low": 8, "high": 64},
                   "gan.loss": {"choices": ["hinge", "minimax"]}},
}


def faults(**changed: Any) -> list[str]:
    return space.of({**GOOD, **changed}, committed_params(), "space.yaml")[1]


def of_parameter(key: str, given: Any) -> str:
    found = faults(parameters={key: given})
    assert len(found) == 1 and found[0].startswith(f"space.yaml: `{key}`: ") and "\n" not in found[0]
    return found[0]


def good(**changed: Any) -> space.Space:
    found, wrong = space.of({**GOOD, **changed}, committed_params(), "space.yaml")
    assert found is not None, wrong
    return found


@pytest.mark.parametrize(("key", "given", "told"), [
    ("gan.generator_l", {"low": 0.1, "high": 0.2}, "did you mean `gan.generator_lr`?"),
    ("dcgan.width", {"low": 8, "high": 16}, "a sweep tries keys of gan, train, generate"),
    ("evaluate.sample_size", {"low": 200, "high": 300}, "a sweep tries keys of gan, train, generate"),
    ("train.seed", {"low": 0, "high": 3}, "set `seeds`"),
    ("gan.width", {"low": 64, "high": 32}, "the range is empty: low 64 is not below high 32"),
    ("gan.width", {"low": 64, "high": 64}, "the range is empty"),
    ("gan.width", {"low": 0.5, "high": 64}, "takes whole numbers"),
    ("gan.width", {"low": -1, "high": 64}, "-1 is not possible"),
    ("gan.width", {"low": "a", "high": 64}, "`low`"),
    ("gan.width", {"low": 1, "high": 64, "setp": 1}, "unknown key `setp`; did you mean `step`?"),
    ("gan.width", {"low": 1}, "key `high` is missing"),
    ("gan.width", 3, "needs {low, high} or {choices}"),
    ("gan.width", {"choices": [64, 64]}, "names one twice"),
    ("gan.width", {"choices": [64]}, "`choices`"),
    ("gan.width", {"choices": [64, "wide"]}, "'wide' is not possible"),
    ("gan.beta1", {"low": 0, "high": 1.5}, "1.5 is not possible (Input should be less than 1)"),
    ("gan.loss", {"low": 0, "high": 1}, "hinge, least_squares, minimax"),
    ("gan.loss", {"choices": ["hinge", "wasserstein"]}, "'wasserstein' is not possible"),
    ("gan.r1", {"low": 0, "high": 2, "log": True}, "with `log`, low must be above 0"),
    ("gan.r1", {"low": 0, "high": 2, "step": 0.3}, "a multiple of the step"),
    ("gan.r1", {"low": 0, "high": 2, "step": 0}, "a multiple of the step"),
])
def test_a_parameter_that_does_not_fit_is_one_line_that_names_file_and_key(key: str, given: Any,
                                                                           told: str) -> None:
    assert told in of_parameter(key, given)


@pytest.mark.parametrize(("changed", "told"), [
    ({"objectives": ["fidd"]}, "did you mean `fid`?"),
    ({"objectives": []}, "`objectives`"),
    ({"objectives": ["fid", "fid"]}, "names one twice"),
    ({"method": "gann"}, "did you mean `gan`?"),
    ({"name": "a/b"}, "`name`"),
    ({"seeds": 0}, "`seeds`"),
    ({"sampler": "best"}, "`sampler`"),
    ({"sedes": 3}, "unknown key `sedes`; did you mean `seeds`?"),
    ({"parameters": {}}, "`parameters`"),
    ({"sampler": "grid"}, "`gan.generator_lr`: a grid needs"),
    ({"objectives": ["is"], "prune": True}, "`prune`"),
    ({"prune": True, "parameters": {"gan.images": {"low": 1000, "high": 2000}}}, "`prune`"),
])
def test_a_file_that_is_no_space_is_one_line_that_names_file_and_key(changed: dict[str, Any],
                                                                    told: str) -> None:
    found = faults(**changed)
    assert len(found) == 1 and found[0].startswith("space.yaml: ") and told in found[0]


def test_every_fault_is_told_at_once() -> None:
    assert len(faults(objectives=["fidd"], parameters={"gan.x": {"low": 0, "high": 1}, "gan.width": 3})) == 3


def test_any_metric_of_the_table_is_an_objective_with_its_own_direction() -> None:
    found = good(objectives=[metric.name for metric in METRICS])
    assert found.directions == ["minimize" if metric.better == "lower" else "maximize" for metric in METRICS]


def test_random_points_lie_in_their_ranges_and_depend_on_seed_and_number_alone() -> None:
    found = good()
    points = found.points(0, 40)
    assert points[10:20] == found.points(10, 20) != good(seed=1).points(10, 20)
    by_key = {key: {point[key] for point in points} for key in GOOD["parameters"]}
    assert all(0.0002 <= value <= 0.005 for value in by_key["gan.generator_lr"])
    assert by_key["gan.r1"] == {0.0, 0.4, 0.8, 1.2, 1.6, 2.0}
    assert all(isinstance(value, int) and 8 <= value <= 64 for value in by_key["gan.latent"])
    assert by_key["gan.loss"] == {"hinge", "minimax"}


def test_a_grid_is_every_combination_once() -> None:
    parameters = {"gan.r1": {"low": 0, "high": 1, "step": 0.5}, "gan.loss": {"choices": ["hinge", "minimax"]}}
    found = good(sampler="grid", parameters=parameters)
    assert found.size() == 6
    assert len({tuple(point.values()) for point in found.points(0, 100)}) == 6


def test_a_list_can_be_a_choice() -> None:
    one = good(method="flow", parameters={"flow.levels": {"choices": [[1], [1, 2]]}}).parameters[0]
    assert [one.value(name) for name in one.names] == [[1], [1, 2]]
