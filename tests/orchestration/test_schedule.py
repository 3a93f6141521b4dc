"""Chains hold the order, leave nothing out, and a failure stops what depends on it and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc.orchestration.schedule import Schedule, critical_path, simulate

ORDER = ("check", "evaluator", "reference", "train@a", "generate@a", "evaluate@a", "train@b", "generate@b",
         "evaluate@b", "report")
UPSTREAM = {
    "check": set(), "evaluator": {"check"}, "reference": {"check", "evaluator"},
    **{f"train@{name}": {"check"} for name in "ab"},
    **{f"generate@{name}": {"check", f"train@{name}"} for name in "ab"},
    **{f"evaluate@{name}": {"check", "evaluator", "reference", f"train@{name}", f"generate@{name}"}
       for name in "ab"},
    "report": set(ORDER) - {"report"},
}


def schedule(waiting: tuple[str, ...] = ORDER, **seconds: float) -> Schedule:
    known = {name.replace("_", "@"): value for name, value in seconds.items()}
    return Schedule(ORDER, UPSTREAM, waiting, known)


def test_a_chain_ends_where_stages_can_run_side_by_side() -> None:
    plan = schedule()
    assert plan.start("check") == ["check"]
    plan.done("check")
    assert plan.ready() == ["evaluator", "train@a", "train@b"]
    assert plan.start("train@a") == ["train@a", "generate@a"]  # evaluate waits for the reference
    assert plan.start("evaluator") == ["evaluator", "reference"]


def test_a_chain_is_that_of_one_method_where_the_shared_stages_are_done() -> None:
    plan = schedule(tuple(name for name in ORDER if "@" in name or name == "report"))
    assert plan.start("train@b") == ["train@b", "generate@b", "evaluate@b"]
    assert plan.start("train@a") == ["train@a", "generate@a", "evaluate@a"]


def test_to_look_at_a_chain_takes_nothing() -> None:
    plan = schedule()
    plan.done("check")
    assert plan.chain("train@a") == plan.chain("train@a") == plan.start("train@a")


def test_what_took_longest_comes_first() -> None:
    plan = schedule(train_a=1.0, generate_a=1.0, evaluate_a=1.0, train_b=50.0, evaluator=3.0)
    plan.done("check")
    assert plan.ready() == ["train@b", "evaluator", "train@a"]


def test_a_failure_skips_what_depends_on_it_and_nothing_else() -> None:
    plan = schedule()
    plan.done("check")
    plan.start("train@a")
    plan.fail("train@a")
    assert plan.skipped == ["generate@a", "evaluate@a", "report"]
    assert plan.ready() == ["evaluator", "train@b"]


@given(st.dictionaries(st.sampled_from(ORDER), st.floats(0.1, 100), min_size=len(ORDER)), st.integers(1, 9))
def test_a_simulated_time_lies_between_the_critical_path_and_one_after_another(
    seconds: dict[str, float], jobs: int
) -> None:
    longest = sum(seconds[name] for name in critical_path(ORDER, UPSTREAM, seconds))
    found = simulate(ORDER, UPSTREAM, seconds, jobs)
    assert longest - 1e-6 <= found <= sum(seconds.values()) + 1e-6
    assert simulate(ORDER, UPSTREAM, seconds, 1) == pytest.approx(sum(seconds.values()))
    assert found >= sum(seconds.values()) / jobs - 1e-6


@given(st.sets(st.sampled_from(ORDER)), st.sets(st.sampled_from(ORDER)), st.randoms())
def test_every_stage_runs_once_after_what_it_waits_for_or_is_skipped_for_a_failure(
    waiting: set[str], failing: set[str], random: object
) -> None:
    plan, ran = schedule(tuple(waiting)), []
    while ready := plan.ready():
        chain = plan.start(random.choice(ready))  # type: ignore[attr-defined]
        for name in chain:
            if name in failing:
                plan.fail(name)
                break
            assert UPSTREAM[name] & waiting <= set(ran)
            ran.append(name)
            plan.done(name)
    lost = {name for name in waiting if UPSTREAM[name] & waiting & failing}
    assert len(ran) == len(set(ran)) and set(ran) == waiting - failing - lost
