"""train: trains one method on the train split. It may take long, and resumes after a kill."""

from aigc import methods
from aigc.core import code, config, files, hashes, paths, process, runtime
from aigc.core.runtime import RuntimeConfig
from aigc.data import pictures
from aigc.model.card import write_model
from aigc.model.contract import Method, Shape
from aigc.training.checkpoint import Checkpoints
from aigc.training.config import TrainConfig
from aigc.training.loop import Trainer
from aigc.training.observer import Observer, Row, Training

COUNTS = ("step", "images")
UNHASHED = {"watch"}  # keys of the section `train` that no out depends on; dvc.yaml lists the others


def run(method: str, observer: Observer) -> None:
    content = config.read()
    settings = methods.load_config(method, content)
    train = config.section("train", TrainConfig, content)
    switches = config.section("runtime", RuntimeConfig, content)
    split = pictures.open_folder(paths.PROCESSED / "train")
    learned = methods.learned(method, settings, split, paths.PROCESSED / "train")
    order = train if settings.learns_from is None else train.model_copy(update={"balanced": True})
    device = runtime.start_torch(switches.arithmetic, switches.threads)
    shared = {"train": train.model_dump(exclude=UNHASHED), "runtime": switches.model_dump()}
    params = {**config.flatten(settings.model_dump()), **config.flatten(shared)}
    deps = {"images": hashes.array_sha256(split.images), "labels": hashes.array_sha256(split.labels)}
    identified = {"method": method, **params, **runtime.device_identity(switches, device)}
    fingerprint, identity = code.fingerprint("train", method, identified, deps)
    lock = paths.training_lock(method, fingerprint)
    with process.only_writer(lock):
        checkpoints = Checkpoints(lock.parent, identity)
        is_repeat = checkpoints.start_anew_if_recorded()
        trainer = Trainer.on(learned, method, lambda: methods.build(method, settings, Shape.of(learned)),
                             settings, order, device, checkpoints)
        training = Training(method, fingerprint, params, identity["code"], paths.PROCESSED / "train",
                            deps["images"], trainer.schedule.steps, train.watch, is_repeat)
        with observer.training(training) as watch:
            average = trainer.fit(watch.progress)
            assert isinstance(average, Method)
            card = write_model(paths.model(method), average, method=method, config=settings.model_dump(),
                               shape=vars(average.shape), classes=learned.classes, seed=train.seed,
                               data_sha256=deps["images"],
                               origin=pictures.read_origin(paths.PROCESSED / "train"))
            write_history(method, trainer.history)
            watch.trained(average, paths.model(method), card)
        checkpoints.finish(paths.history(method))


def write_history(method: str, history: list[Row]) -> None:
    """Write the history as CSV, one row an interval. Counts are integers; a checkpoint has floats."""
    columns = list(history[0])
    rows = ([repr(int(row[name]) if name in COUNTS else float(row[name])) for name in columns]
            for row in history)
    lines = [",".join(columns), *(",".join(row) for row in rows)]
    files.write_bytes(paths.history(method), ("\n".join(lines) + "\n").encode())
