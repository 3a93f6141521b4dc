"""`aigc sweep SPACE.yaml`: checks the space, then works as one worker or starts several."""

import os
import subprocess
import sys
from pathlib import Path

from sqlalchemy.engine import URL

from aigc.core import config, process
from aigc.core.errors import AigcError, ConfigError
from aigc.orchestration import slots
from aigc.sweep import report, space, storage
from aigc.sweep import study as sweeps
from aigc.sweep.checkouts import Checkouts, command, identity
from aigc.sweep.space import Space
from aigc.sweep.trial import Runner
from aigc.sweep.worker import Worker, name

TRIALS = 20  # of a sweep for which nobody says how many
IS_CHILD = "AIGC_SWEEP_CHILD"  # environment variable of a worker that another one started


def run(path: Path, trials: int | None, workers: int, given: str | None, is_retry: bool) -> int:
    """Work on the sweep until all of its trials have ended. Exit code 1 where a trial failed."""
    if trials is not None and trials < 1:
        raise ConfigError(f"--trials {trials}: at least 1")
    if workers < 1:
        raise ConfigError(f"--workers {workers}: at least 1")
    found, faults = space.read(path)
    if found is None:
        for fault in faults[:-1]:
            print(f"error: {fault}", file=sys.stderr)
        raise ConfigError(faults[-1])
    url = storage.address(given)
    if workers > 1 and storage.is_for_one_worker(url):
        raise ConfigError(f"--workers {workers}: SQLite is for one worker; --storage postgresql://… takes "
                          "more")
    places = slots.choose(workers) if workers > 1 else []
    checkouts = Checkouts(found, identity(found, config.read()))
    with storage.opened(url, writes=True) as opened:
        with storage.alone(url):
            study = sweeps.begin(found, opened, checkouts.identified)
        checkouts.prepare()
        with storage.alone(url):
            sweeps.pin_data(study, checkouts.data())
            queued = len(sweeps.by_index(study.get_trials(deepcopy=False)))
            sweeps.queue(study, found, trials or queued or found.size() or TRIALS)
        if is_retry:
            retry_failed(study)
        if workers > 1:
            _several(path, places, url)
        else:
            Worker(study, found, opened, Runner(checkouts).run, name()).work()
        return 0 if IS_CHILD in os.environ else _conclude(study, found)


def retry_failed(study: "sweeps.Study") -> None:
    """Queue the failed trials again."""
    for trial in sweeps.by_index(study.get_trials(deepcopy=False)).values():
        if trial.state == sweeps.TrialState.FAIL:
            storage.requeue(study, trial)


def _conclude(study: "sweeps.Study", found: Space) -> int:
    counts = report.counts(study)
    print(report.line(study, found))
    front = sweeps.best(sweeps.outcomes(study, found), found)
    if front:
        print(report.table(front[:1], found))
        print(f"`aigc sweep best {found.name} --write` puts it into params.yaml; "
              f"`aigc sweep page {found.name}` draws the sweep")
    if failed := counts.get("FAIL"):
        raise AigcError(f"{failed} trials failed; `aigc sweep status {found.name}` says why, --retry "
                        "runs them again")
    return 0


def _several(path: Path, places: list[str | None], url: URL) -> None:
    """Start a worker for each place and wait for all. None is left, however it ends."""
    children: list[subprocess.Popen[bytes]] = []
    try:
        for device in places:
            variables = {**os.environ, storage.STORAGE: url.render_as_string(hide_password=False),
                         IS_CHILD: "1", **({} if device is None else {slots.VISIBLE: device})}
            with process.uninterrupted():
                children.append(subprocess.Popen(command("sweep", str(path)), env=variables,
                                                 stdin=subprocess.DEVNULL, start_new_session=True))
        codes = [child.wait() for child in children]
    finally:
        process.end_sessions([child for child in children if child.poll() is None])
    if bad := [code for code in codes if code]:
        print(f"warning: {len(bad)} of {len(codes)} workers ended early; the others took over their trials",
              file=sys.stderr)
        if len(bad) == len(codes):
            raise AigcError("every worker stopped; what it said stands above")
