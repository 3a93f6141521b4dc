"""`aigc runs`: all evaluated runs of the MLflow experiment on one page, reports/runs.html.

It shows durations, so it is no DVC out.
"""

import argparse

COSTS = (("training_seconds", "training, s"), ("images", "images seen"), ("parameters", "parameters"),
         ("sampling_images_per_second", "sampled a second"))


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    runs = commands.add_parser(
        "runs",
        help="draw all runs of the MLflow experiment on reports/runs.html",
        description="Write reports/runs.html: how the samples of each method grew over its training, FID "
        "against training time for all evaluated runs of the MLflow experiment, and mean and spread over the "
        "seeds of runs that differ in train.seed alone. It holds durations and is no part of the lock.",
    )
    runs.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    from aigc.core import files
    from aigc.metrics import table
    from aigc.reporting import figures, page
    from aigc.tracking import growth, recipes, views
    from aigc.workspace.paths import RUNS_PAGE

    found = recipes.by_protocol()
    sections = []
    for protocol, members in found.items():
        points = [figures.Point(run.method, run.metrics["training_seconds"], run.metrics["fid"],
                                views.colour(run.method))
                  for run in members if "training_seconds" in run.metrics]
        sections.append({"protocol": protocol, "recipes": recipes.recipes(members), "runs": len(members),
                         "floor": members[0].metrics,
                         "figure": figures.trade_off(points, "seconds of training") if points else None})
    shown = tuple((metric.name, metric.heading) for metric in table.on_page("runs"))
    growths, without = growth.newest(run for members in found.values() for run in members)
    files.write_bytes(RUNS_PAGE, page.render(page.RUNS, sections=sections, shown=shown, costs=COSTS,
                                             growths=growths, without_growth=without))
    print(f"{sum(map(len, found.values()))} runs: {RUNS_PAGE}")
    return 0
