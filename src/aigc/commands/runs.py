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
        description="Write reports/runs.html: FID against training time for all evaluated runs of "
        "the MLflow experiment, and mean and spread over the seeds of runs that differ in train.seed alone. "
        "It holds durations and is no part of the lock.",
    )
    runs.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    from aigc.core import files
    from aigc.metrics import table
    from aigc.reporting import figures, page
    from aigc.tracking import recipes, views
    from aigc.workspace.paths import RUNS_PAGE

    found = recipes.by_protocol()
    sections = [{"protocol": protocol, "recipes": recipes.recipes(members), "runs": len(members),
                 "figure": figures.cost([(run.method, run.metrics["training_seconds"], run.metrics["fid"],
                                          views.colour(run.method))
                                         for run in members if "training_seconds" in run.metrics])}
                for protocol, members in found.items()]
    shown = tuple((metric.name, metric.heading) for metric in table.on_page("runs"))
    files.write_bytes(RUNS_PAGE, page.render("runs.html", sections=sections, shown=shown, costs=COSTS))
    print(f"{sum(map(len, found.values()))} runs: {RUNS_PAGE}")
    return 0
