"""What a sweep has found, as text and as a page with Optuna's own plots."""

import io
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
from optuna.study import Study
from optuna.trial import TrialState

from aigc.core import files
from aigc.metrics.intervals import of_mean
from aigc.reporting import page
from aigc.sweep import space as spaces
from aigc.sweep import study as sweeps
from aigc.sweep.space import METRIC, Space
from aigc.sweep.study import REASON, SPACE, WORKER, Outcome
from aigc.workspace.paths import SWEEP_PAGES

WORDS = {"COMPLETE": "complete", "PRUNED": "pruned", "RUNNING": "running", "WAITING": "waiting",
         "FAIL": "failed"}
FEWEST = 4  # complete trials for plots of importance
DPI = 110


def space_of(study: Study) -> Space:
    """The space of a study. Raises ConfigError where params.yaml no longer has what it names."""
    from aigc.core import config
    from aigc.core.errors import ConfigError

    found, faults = spaces.of(study.user_attrs[SPACE], config.read(), study.study_name)
    if found is None:
        raise ConfigError(faults[0])
    return found


def counts(study: Study) -> Counter[str]:
    """How many trials are in each state, each number once."""
    found = sweeps.by_index(study.get_trials(deepcopy=False)).values()
    return Counter(trial.state.name for trial in found)


def line(study: Study, space: Space) -> str:
    """A sweep in one line."""
    found = counts(study)
    states = ", ".join(f"{found[name]} {word}" for name, word in WORDS.items() if found[name])
    seeds = f", {space.seeds} seeds a trial" if space.seeds > 1 else ""
    return (f"{space.name}: {space.method}, {', '.join(space.objectives)}{seeds}: "
            f"{states or 'no trial yet'}")


def status(study: Study, space: Space) -> str:
    """A sweep with its best trials, what runs, and why trials failed."""
    lines = [line(study, space)]
    front = sweeps.best(sweeps.outcomes(study, space), space)
    lines += [table(front, space)] if front else []
    for index, trial in sweeps.by_index(study.get_trials(deepcopy=False)).items():
        if trial.state == TrialState.RUNNING:
            lines.append(f"  trial {index} runs: {trial.user_attrs.get(WORKER, 'about to start')}")
        elif trial.state == TrialState.FAIL:
            lines.append(f"  trial {index} failed: {trial.user_attrs.get(REASON, 'its worker was killed')}")
        elif trial.state == TrialState.PRUNED:
            lines.append(f"  trial {index} pruned: {trial.user_attrs.get(REASON, '')}")
    return "\n".join(lines)


def table(found: list[Outcome], space: Space) -> str:
    """Trials as text, a line each: number, objectives with the interval over seeds, settings."""
    head = ["trial", *(METRIC[name].heading for name in space.objectives),
            *(one.key for one in space.parameters)]
    rows = [head, *([str(one.index), *(shown(one, name) for name in space.objectives),
                     *(f"{value}" for value in one.point.values())] for one in found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(f"  {text}".rstrip() for text in lines)


def shown(one: Outcome, name: str) -> str:
    """A metric's mean over seeds, with Student's 95% interval where there are several."""
    mean = of_mean(one.of_metric(name))
    text = page.number(mean["value"])
    return f"{text} [{page.number(mean['low'])}, {page.number(mean['high'])}]" if "low" in mean else text


def write_page(study: Study, space: Space) -> Path:
    """Draw the sweep on a page of its own, one file that needs no network."""
    found = sweeps.outcomes(study, space)
    front = {one.index for one in sweeps.best(found, space)}
    order = sorted(found, key=lambda one: (one.index not in front, _sign(space) * one.values[0]))
    metrics = [*space.objectives, *(name for name in METRIC if name not in space.objectives
                                    and any(one.of_metric(name) for one in found))]
    rows = [{"index": one.index, "is_best": one.index in front, "passes": one.passes,
             "numbers": [shown(one, name) if one.of_metric(name) else "–" for name in metrics],
             "point": [str(value) for value in one.point.values()]} for one in order]
    content = page.render("sweep.html", line=line(study, space), space=space, rows=rows,
                          metrics=[METRIC[name].heading for name in metrics], figures=figures(study, space))
    place = SWEEP_PAGES / f"{space.name}.html"
    files.write_bytes(place, content)
    return place


def _sign(space: Space) -> float:
    return 1.0 if METRIC[space.objectives[0]].better == "lower" else -1.0


def figures(study: Study, space: Space) -> list[tuple[str, str, bytes]]:
    """Optuna's plots: (title, what it shows, PNG). What Optuna cannot draw of so few trials is left out."""
    import matplotlib

    matplotlib.use("Agg")
    from optuna.visualization import matplotlib as plots

    shown_study = _without_surplus(study)
    complete = len([one for one in shown_study.trials if one.state == TrialState.COMPLETE])
    if not complete:
        return []
    drawn: list[tuple[str, str, bytes]] = []

    def draw(title: str, text: str, plot: Callable[..., Any], **options: Any) -> None:
        from matplotlib import pyplot
        from matplotlib.ticker import NullFormatter

        with warnings.catch_warnings(action="ignore"):
            plot(shown_study, **options)
            figure = pyplot.gcf()
            figure.set_size_inches(max(9, 2.6 * len(figure.axes)), 5)
            for axes in figure.axes:  # between the powers of ten the labels overlap
                axes.xaxis.set_minor_formatter(NullFormatter())
            stream = io.BytesIO()
            figure.savefig(stream, format="png", dpi=DPI, bbox_inches="tight", metadata={"Software": None})
            pyplot.close("all")
        drawn.append((title, text, stream.getvalue()))

    for number, name in enumerate(space.objectives):
        def target(trial: Any, number: int = number) -> float:
            return float(trial.values[number])

        chosen: dict[str, Any] = {"target_name": METRIC[name].title}
        if len(space.objectives) > 1:
            chosen["target"] = target
        draw(f"History of {name}", "Each dot is a trial, in the order of their ends.",
             plots.plot_optimization_history, **chosen)
        if complete >= FEWEST and len(space.parameters) > 1:
            draw(f"Importance for {name}", "Share of the variance that each key explains (fANOVA); rough "
                 "below some tens of trials.", plots.plot_param_importances,
                 evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0), **chosen)
        draw(f"Slices of {name}", "Each dot is a trial; one panel a key.", plots.plot_slice, **chosen)
    if len(space.objectives) in (2, 3):
        draw("Pareto front", "Trials that no other beats in all objectives.", plots.plot_pareto_front,
             target_names=[METRIC[name].title for name in space.objectives])
    return drawn


def _without_surplus(study: Study) -> Study:
    """The study with the trial that counts of each number, in memory, under that number."""
    copied = optuna.create_study(directions=study.directions)
    for trial in sweeps.by_index(study.get_trials()).values():
        copied.add_trial(trial)
    return copied
