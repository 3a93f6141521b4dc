"""Which method is best, and which differences between methods are real: in sentences."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

MethodFacts = Mapping[str, Any]  # "name", and "metrics" as reports/metrics/METHOD.json has them


def verdict(ranked: Sequence[MethodFacts]) -> str:
    """The best method that passes the memorization audit, and whether the next one is really worse.

    ranked: best FID first.
    """
    if not ranked:
        return ""
    passed = [method for method in ranked if method["metrics"]["memorization"]["passes"]]
    copying = ", ".join(method["name"] for method in ranked[:ranked.index(passed[0]) if passed else None])
    if not passed:
        return "Every method fails the memorization audit: the samples are copies of training pictures."
    said = f"{passed[0]['name']} is best, with an FID of {_fid(passed[0]):.3g}."
    if len(ranked) == 1:
        return f"{passed[0]['name']} has an FID of {_fid(passed[0]):.3g}."
    if copying:
        said = f"Left out, since they fail the memorization audit: {copying}. Of the others, {said}"
    if len(passed) == 1:
        return said
    said += f" Next is {passed[1]['name']} with {_fid(passed[1]):.3g}."
    differs = is_real(passed[0], passed[1])
    if differs is None:
        return f"{said} Without intervals nobody knows whether the difference is real."
    if differs:
        return f"{said} Their 95% intervals do not overlap: the difference is real."
    return f"{said} Their 95% intervals overlap: the difference may be chance."


def standings(ranked: Sequence[MethodFacts]) -> dict[str, str]:
    """{method: how it stands to the one before it}; the first of several is "best FID"."""
    found = {ranked[0]["name"]: "best FID" if len(ranked) > 1 else ""} if ranked else {}
    for better, method in pairwise(ranked):
        differs = is_real(better, method)
        how = {True: "worse than", False: "no real difference from", None: "no intervals to compare with"}
        found[method["name"]] = f"{how[differs]} {better['name']}"
    return found


def is_real(better: MethodFacts, worse: MethodFacts) -> bool | None:
    """Whether the 95% intervals of the FIDs do not overlap; None where one has none."""
    high, low = better["metrics"]["fid"].get("high"), worse["metrics"]["fid"].get("low")
    return None if high is None or low is None else bool(high < low)


def _fid(method: MethodFacts) -> float:
    return float(method["metrics"]["fid"]["value"])
