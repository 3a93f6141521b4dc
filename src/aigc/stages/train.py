"""train: trains one method on the train split. It may take long, and resumes after a kill.

Several processes may share it (training/parallel.py): each runs `run`.
"""

from contextlib import nullcontext
from functools import partial

from aigc import methods
from aigc.core import code, config, files, hashes, paths, process, runtime
from aigc.core.runtime import RuntimeConfig
from aigc.data import pictures
from aigc.model.card import write_model
from aigc.model.contract import Method, Shape
from aigc.training import launch as launching
from aigc.training import parallel, parent
from aigc.training.config import TrainConfig
from aigc.training.loop import Trainer
from aigc.training.observer import Observer, Row, Training

COUNTS = ("step", "images")
UNHASHED = {"watch"}  # keys of the section `train` that no out depends on; dvc.yaml lists the others


def launch(method: str) -> bool:
    """Run the stage in several processes, where the environment asks for them; whether it did."""
    content = config.read()
    fast = config.section("runtime", RuntimeConfig, content).arithmetic == "fast"
    return launching.launch(("train", method), config.section("train", TrainConfig, content), fast)


def run(method: str, observer: Observer) -> None:
    content = config.read()
    settings = methods.load_config(method, content)
    train = config.section("train", TrainConfig, content)
    train.check_batch_size(method, settings.batch_size)
    switches = config.section("runtime", RuntimeConfig, content)
    split = pictures.open_folder(paths.PROCESSED / "train")
    learned = methods.learned(method, settings.learns_from, split, paths.PROCESSED / "train")
    order = train if settings.learns_from is None else train.model_copy(update={"balanced": True})
    device = runtime.start_torch(switches.arithmetic, switches.threads)
    shared = {"train": train.model_dump(exclude=UNHASHED), "runtime": switches.model_dump()}
    params = {**config.flatten(settings.model_dump()), **config.flatten(shared)}
    deps = {"images": hashes.array_sha256(split.images), "labels": hashes.array_sha256(split.labels)}
    build = partial(methods.build, method, settings, Shape.of(learned))
    ancestors: list[str] = []
    if start := parent.start(method, settings):
        build, ancestors = partial(start.build, settings, Shape.of(learned), learned.classes), start.ancestors
        params["init_from"], deps["parent"] = settings.init_from, ancestors[0]
        parent.tell(start, learned.classes)
    identified = {"method": method, **params, **runtime.device_identity(switches, device)}
    fingerprint, identity = code.fingerprint("train", method, identified, deps)
    lock = paths.training_lock(method, fingerprint)
    with (parallel.join(device, identity, train) as team,
          process.only_writer(lock) if team.leads else nullcontext()):
        checkpoints = parallel.SharedCheckpoints(lock.parent, identity, team)
        is_repeat = checkpoints.start_anew_if_recorded()
        kind = parallel.ShardedTrainer if train.shards > 1 else Trainer
        trainer = kind.on(learned, method, build, settings, order, device, checkpoints)
        training = Training(method, fingerprint, params, identity["code"], paths.PROCESSED / "train",
                            deps["images"], trainer.schedule.steps, train.watch, is_repeat, team.size)
        with observer.training(training) as watch:
            average = trainer.fit(watch.progress)
            if not team.leads:
                return
            assert isinstance(average, Method)
            card = write_model(paths.model(method), average, method=method, config=settings.model_dump(),
                               shape=vars(average.shape), classes=learned.classes, seed=train.seed,
                               data_sha256=deps["images"],
                               origin=pictures.read_origin(paths.PROCESSED / "train"), ancestors=ancestors)
            write_history(method, trainer.columns, trainer.history)
            watch.trained(average, paths.model(method), card)
        checkpoints.finish(paths.history(method))


def write_history(method: str, columns: list[str], history: list[Row]) -> None:
    """Write the history as CSV, one row an interval. Counts are integers; a checkpoint has floats.

    A value that a row lacks is an empty cell.
    """
    rows = ([repr(int(row[name]) if name in COUNTS else float(row[name])) if name in row else ""
             for name in columns] for row in history)
    lines = [",".join(columns), *(",".join(row) for row in rows)]
    files.write_bytes(paths.history(method), ("\n".join(lines) + "\n").encode())
