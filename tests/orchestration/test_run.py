"""How many slots a chain takes."""

from pathlib import Path

import pytest

from aigc.orchestration.display import Display
from aigc.orchestration.plan import Plan
from aigc.orchestration.run import Runner

ORDER = ("evaluator", "train@a", "generate@a")
WAITS: dict[str, frozenset[str]] = {"evaluator": frozenset(), "train@a": frozenset(),
                                    "generate@a": frozenset({"train@a"})}


def test_a_chain_with_a_shared_stage_takes_a_slot_for_each_of_its_processes(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = Plan(ORDER, WAITS, WAITS, frozenset(ORDER), frozenset())
    runner = Runner(plan, [None] * 4, [], Display(), devices=4)
    assert [runner.slots_for(name) for name in ("evaluator", "train@a", "generate@a")] == [1, 4, 4]
