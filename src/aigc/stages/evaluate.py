"""evaluate: the numbers of one method's samples, each with its interval, its floor, its ceiling and its protocol."""

import sys

from aigc import model, sampling
from aigc.core import config, files, paths, runtime
from aigc.core.errors import StorageError
from aigc.data import pictures
from aigc.evaluation import audit, fidelity
from aigc.metrics.intervals import flat
from aigc.tracking import finished, views


def run(method: str) -> None:
    chosen, switches = config.section("evaluate", config.Evaluate), config.section("runtime", config.Runtime)
    device = runtime.start_torch(switches.arithmetic, switches.threads)
    through = audit.Through.open(chosen, device)
    reference = files.read_json(paths.REFERENCE_METRICS)
    if through.eye.sha256 != reference["protocol"]["extractor_sha256"]:
        known = reference["protocol"]["extractor_sha256"]
        raise StorageError(f"{paths.REFERENCE_METRICS}: made through the extractor {known[:16]}, this is "
                           f"{through.eye.sha256[:16]}; numbers through two extractors are not comparable: run `dvc repro reference`")
    samples = pictures.open_folder(paths.generated(method))
    seen = fidelity.look(through.eye, samples.images, str(paths.generated(method)), chosen.sample_size)
    real = fidelity.read(paths.REFERENCE, chosen)
    numbers = fidelity.measure(real, seen, chosen)
    beside = {name: {**number, "floor": reference["floor"][name]["value"], "ceiling": reference["ceiling"][name]["value"]}
              for name, number in numbers.items()}
    protocol = {**reference["protocol"], "samples": len(samples), "samples_sha256": files.sha256(paths.generated(method) / "images.npy")}
    generator, card = model.read(paths.model(method), device.torch_device)
    answer = audit.of_method(generator, samples, seen, audit.open_splits(chosen.sample_size), through, real.features,
                             config.section("audit", config.Audit), reference["audit"], paths.REFERENCE, card.config["batch_size"])
    files.write_csv(paths.classes(method), answer.classes)
    files.write_csv(paths.nearest(method), answer.nearest)
    files.write_csv(paths.confusion(method), answer.confusion)
    content = {**beside, **answer.sections, "protocol": protocol}
    files.write_json(paths.metrics(method), content)
    if not content["memorization"]["passes"]:
        print(f"{method}: fails the memorization audit and cannot be promoted; see {paths.metrics(method)} and the report", file=sys.stderr)
    remember(method, card, {**flat(content), "sampling_images_per_second": sampling.pace(generator),
                            "parameters": model.parameters(generator.state_dict())}, views.verdict_tags(content))


def remember(method: str, card: model.Card, numbers: dict[str, float], tags: dict[str, str]) -> None:
    """Add numbers (fid, fid_low, memorization/pixels/c_t, ...) and tags to the MLflow run that trained the model."""
    if not finished.add_metrics(card.weights_sha256, numbers, [paths.metrics(method), paths.grid(method)], tags):
        print(f"{method}: the MLflow store has no run of these weights (DVC restored them from its cache); "
              "`aigc sync` makes one")
