"""Runs that differ in their seed alone are one recipe."""

import numpy as np
import pytest
from scipy import stats

from aigc.tracking import recipes
from small import evaluated_run


def test_seeds_of_one_recipe_are_one_row_with_mean_and_students_interval() -> None:
    (found,) = recipes.recipes(
        [evaluated_run("a", 0, 10), evaluated_run("a", 2, 13), evaluated_run("a", 10, 14.5)]
    )
    assert found.seeds == "0, 2, 10"
    low, high = stats.t.interval(0.95, 2, np.mean([10, 13, 14.5]), stats.sem([10, 13, 14.5]))
    assert found.over_seeds("fid") == pytest.approx({"value": 12.5, "low": low, "high": high}, rel=1e-5)
    assert found.over_seeds("kid") == {}


def test_of_a_seed_that_was_trained_twice_the_newest_counts_and_a_single_seed_has_no_interval() -> None:
    (found,) = recipes.recipes([evaluated_run("a", 0, 10, started=5), evaluated_run("a", 0, 30, started=2)])
    assert found.over_seeds("fid") == {"value": 10}


def test_recipes_are_ranked_and_say_in_what_they_differ_from_others_of_their_method() -> None:
    found = recipes.recipes(
        [
            evaluated_run("a", 0, 20, beta="1"),
            evaluated_run("b", 0, 10, beta="4"),
            evaluated_run("c", 0, 15, method="gan", beta="9"),
        ]
    )
    assert [recipe.method for recipe in found] == ["vae", "gan", "vae"]
    assert [recipe.differs for recipe in found] == [{"beta": "4"}, {}, {"beta": "1"}]
