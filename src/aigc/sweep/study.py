"""A sweep as Optuna keeps it: a study whose trials are queued in advance, each under a number of ours.

The number (`index`) stays when a trial is run again after a kill. The first trial of a number that ends is
its result; a later one of the same number is surplus. So no trial is lost and none counts twice.
"""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from aigc.core import config, hashes
from aigc.core.errors import ConfigError, StorageError
from aigc.sweep.parameter import Parameter
from aigc.sweep.space import METRIC, Point, Space
from aigc.sweep.storage import INDEX, PatientStorage

SPACE, IDENTITY, DATA = "aigc.space", "aigc.identity", "aigc.data"  # attributes of a study
WORKER, SEEDS, AUDIT, REASON = "worker", "seeds", "audit", "reason"  # attributes of a trial
STARTUP_TRIALS, WARMUP_PARTS = 4, 2  # trials, and parts of a training, before any is pruned
SHOWN = 4  # differences in a message
ORDER = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING, TrialState.WAITING, TrialState.FAIL)

def suggest(trial: Trial, space: Space) -> Point:
    """The values of one trial, for params.yaml."""
    return {one.key: one.value(_suggest(trial, one)) for one in space.parameters}


def _suggest(trial: Trial, one: Parameter) -> Any:
    if one.choices:
        return trial.suggest_categorical(one.key, one.names)
    if one.is_whole:
        return trial.suggest_int(one.key, int(one.low), int(one.high), log=one.log, step=int(one.step or 1))
    return trial.suggest_float(one.key, one.low, one.high, log=one.log, step=one.step)


def sampler(space: Space, ended: int) -> optuna.samplers.BaseSampler:
    """Who chooses the next point, by the seed and the number of trials that ended: no state to lose."""
    if space.sampler != "tpe":  # its points are in the queue
        return optuna.samplers.RandomSampler(space.seed)
    seed = int(hashes.short_digest([space.seed, ended]), 16) % 2**32
    with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)


def begin(space: Space, storage: PatientStorage, identity: Mapping[str, Any]) -> Study:
    """The study of this name, made where there is none.

    Raises ConfigError where it is of another space, or of other code or params.
    """
    study = optuna.create_study(storage=storage, study_name=space.name, directions=space.directions,
                                load_if_exists=True,
                                pruner=optuna.pruners.MedianPruner(STARTUP_TRIALS, WARMUP_PARTS))
    attributes = study.user_attrs
    for name, mine in ((SPACE, dict(space.source)), (IDENTITY, dict(identity))):
        if name not in attributes:
            if study.get_trials(deepcopy=False):
                raise ConfigError(f"{storage.shown}: `{space.name}` is no sweep of this program; choose "
                                  "another `name`")
            study.set_user_attr(name, mine)
        elif changed := differences(attributes[name], mine):
            what = "another space" if name == SPACE else "another project, or other code or params"
            raise ConfigError(f"the sweep `{space.name}` in {storage.shown} was begun with {what} "
                              f"({changed}); choose another `name`, or restore what differs")
    return study


def pin_data(study: Study, md5: str) -> None:
    """Note the data of the sweep. Raises ConfigError where it was begun on other data."""
    known = study.user_attrs.get(DATA)
    if known is None:
        study.set_user_attr(DATA, md5)
    elif known != md5:
        raise ConfigError(f"the sweep `{study.study_name}` was begun on other data (data/processed has "
                          "another hash); choose another `name`, or restore the data")


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """The first keys that differ, with their values; "" for none."""
    old, new = config.flatten(dict(there)), config.flatten(dict(here))
    keys = [key for key in sorted({**old, **new}) if old.get(key) != new.get(key)]
    texts = [f"{key} differs" if key.startswith("code.") or key == "requirements" else
             f"{key}: {old.get(key)!r} there, {new.get(key)!r} here" for key in keys[:SHOWN]]
    return ", ".join([*texts, *([f"and {len(keys) - SHOWN} more"] if len(keys) > SHOWN else [])])


def find(storage: PatientStorage, name: str | None) -> Study:
    """The sweep of this name, or the only one. Raises StorageError where there is none, or several."""
    known = names(storage)
    if name is None and len(known) == 1:
        name = known[0]
    if name is None or name not in known:
        listed = f": {', '.join(known)}" if known else ""
        raise StorageError(f"{storage.shown} has {len(known)} sweeps{listed}; "
                           f"{'name one of them' if known else '`aigc sweep SPACE.yaml` starts one'}")
    return optuna.load_study(study_name=name, storage=storage)


def names(storage: PatientStorage) -> list[str]:
    """The names of our sweeps in a database."""
    return sorted(one.study_name for one in optuna.get_all_study_summaries(storage, include_best_trial=False)
                  if SPACE in one.user_attrs)


def queue(study: Study, space: Space, total: int) -> None:
    """Queue the trials up to `total` that the study lacks."""
    first = max(by_index(study.get_trials(deepcopy=False)), default=-1) + 1
    for index, point in enumerate(space.points(first, total), first):
        study.enqueue_trial(point, user_attrs={INDEX: index})


def by_index(trials: Iterable[FrozenTrial]) -> dict[int, FrozenTrial]:
    """The trial that counts of each number: the first that is complete, else what comes nearest to it."""
    found: dict[int, FrozenTrial] = {}
    for trial in trials:
        index = trial.user_attrs.get(INDEX)
        if index is None:
            continue
        known = found.get(index)
        if known is None or ORDER.index(trial.state) < ORDER.index(known.state) or (
                trial.state == known.state == TrialState.FAIL):
            found[index] = trial
    return dict(sorted(found.items()))


def is_lost(trial: FrozenTrial) -> bool:
    """Whether a trial failed without a reason: its worker was killed, and nobody queued it again."""
    return trial.state == TrialState.FAIL and REASON not in trial.user_attrs


@dataclass(frozen=True)
class Outcome:
    """One complete trial. values: of the objectives, means over seeds. seeds: {metric: value} of each."""

    index: int
    point: Point
    values: tuple[float, ...]
    seeds: list[dict[str, float]]
    passes: bool

    def of_metric(self, name: str) -> list[float]:
        return [seed[name] for seed in self.seeds if name in seed]


def outcomes(study: Study, space: Space) -> list[Outcome]:
    """The complete trials, in the order of their numbers."""
    return [Outcome(index, {one.key: one.value(trial.params[one.key]) for one in space.parameters},
                    tuple(trial.values), trial.user_attrs.get(SEEDS, []),
                    trial.user_attrs.get(AUDIT, True))
            for index, trial in by_index(study.get_trials(deepcopy=False)).items()
            if trial.state == TrialState.COMPLETE]


def best(found: Iterable[Outcome], space: Space) -> list[Outcome]:
    """The trials that no other beats in all objectives, the best in the first one first.

    A trial whose samples fail the memorization audit is none of them.
    """
    signs = [1.0 if METRIC[name].better == "lower" else -1.0 for name in space.objectives]

    def cost(one: Outcome) -> list[float]:
        return [sign * value for sign, value in zip(signs, one.values, strict=True)]

    def beats(one: Outcome, other: Outcome) -> bool:
        pairs = list(zip(cost(one), cost(other), strict=True))
        return all(a <= b for a, b in pairs) and (any(a < b for a, b in pairs) or one.index < other.index)

    allowed = [one for one in found if one.passes]
    front = [one for one in allowed if not any(beats(other, one) for other in allowed if other is not one)]
    return sorted(front, key=lambda one: (cost(one), one.index))
