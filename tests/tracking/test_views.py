"""How runs look in MLflow's UI."""

from aigc import methods
from aigc.tracking import views


def test_each_method_has_a_colour_of_its_own_and_a_new_one_needs_no_line_here() -> None:
    colours = {views.colour(name) for name in methods.available()}
    assert len(colours) == len(methods.available())
    assert views.colour("a method of tomorrow") in views.PALETTE
    assert (views.colour("gan"), views.colour("flow")) == ("#5c6b73", "#d1495b")


def test_models_of_one_protocol_differ_in_the_weights_that_were_judged_and_not_in_the_protocol() -> None:
    def tags(weights: str) -> dict[str, str]:
        return views.verdict_tags(
            {
                "memorization": {"passes": True},
                "protocol": {
                    "n": 3,
                    "samples": 9,
                    "samples_sha256": weights,
                    "weights_sha256": weights,
                    "card_sha256": weights,
                },
            }
        )

    first, second = tags("a"), tags("b")
    assert first["aigc.protocol"] == second["aigc.protocol"] == views.hashes.short_digest({"n": 3})
    assert (first[views.EVALUATED], second[views.EVALUATED], first[views.AUDIT]) == ("a", "b", "passed")
