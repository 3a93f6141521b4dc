"""What the report says of which method is best."""

from typing import Any

from aigc.reporting import standing


def method(name: str, value: float, low: float | None = None, high: float | None = None,
           passes: bool = True) -> dict[str, Any]:
    interval = {} if low is None else {"low": low, "high": high}
    return {"name": name, "metrics": {"fid": {"value": value, **interval},
                                      "memorization": {"passes": passes}}}


def test_a_difference_is_real_where_the_intervals_do_not_overlap() -> None:
    first = method("flow", 1.0, 0.9, 1.1)
    apart, near, bare = method("vae", 2, 1.8, 2.2), method("vae", 1.2, 1.0, 1.4), method("vae", 2)
    assert "do not overlap: the difference is real" in standing.verdict([first, apart])
    assert "overlap: the difference may be chance" in standing.verdict([first, near])
    assert "nobody knows" in standing.verdict([first, bare])
    assert [standing.standings([first, second])["vae"] for second in (apart, near, bare)] == [
        "worse than flow", "no real difference from flow", "no intervals to compare with flow"]


def test_a_method_that_copies_training_pictures_is_not_called_best() -> None:
    copies, honest = method("gan", 0.5, 0.4, 0.6, passes=False), method("vae", 3, 2.9, 3.1)
    said = standing.verdict([copies, honest])
    assert said == ("Left out, since they fail the memorization audit: gan. "
                    "Of the others, vae is best, with an FID of 3.")
    assert standing.verdict([copies]).startswith("Every method fails the memorization audit")


def test_one_method_or_none_needs_no_comparison() -> None:
    assert standing.verdict([method("vae", 3)]) == "vae has an FID of 3."
    assert (standing.verdict([]), standing.standings([])) == ("", {})
