"""evaluate: the numbers of one method's samples, each with its interval, its floor, its ceiling and its protocol."""

import sys
from typing import Any

from aigc import methods
from aigc.core import config, files, paths, runtime
from aigc.core.errors import StorageError
from aigc.core.runtime import RuntimeConfig
from aigc.data import pictures
from aigc.evaluation import audit, fidelity, numbers
from aigc.evaluation.audit import AuditContext, Samples
from aigc.evaluation.config import AuditConfig, EvaluateConfig
from aigc.model.card import read_card
from aigc.training.observer import Observer


def run(method: str, observer: Observer) -> None:
    settings, switches = config.section("evaluate", EvaluateConfig), config.section("runtime", RuntimeConfig)
    device = runtime.start_torch(switches.arithmetic, switches.threads)
    context = AuditContext.open(settings, config.section("audit", AuditConfig), device)
    reference = read_reference(context)
    samples = pictures.open_folder(paths.generated(method))
    numbers.check_samples(method, read_card(paths.model(method)))
    found = context.extractors.extract(samples.images, str(paths.generated(method)), context.size)
    metric_settings = fidelity.settings_of(settings)
    real = fidelity.read_real_sides(paths.REFERENCE, metric_settings)
    measured = fidelity.beside(fidelity.measure(real, found, metric_settings), floor=reference["floor"],
                               ceiling=reference["ceiling"])
    generator, card = methods.load(paths.model(method), device.torch_device)
    main = found[fidelity.MAIN]
    answer = audit.of_method(
        context, Samples(generator, samples, main.features, context.classes_seen(samples.images, main),
                         card.config["batch_size"]),
        real[fidelity.MAIN].features, reference["audit"], paths.REFERENCE)
    files.write_csv(paths.classes(method), answer.classes)
    files.write_csv(paths.nearest(method), answer.nearest)
    files.write_csv(paths.confusion(method), answer.confusion)
    content = {**measured, **answer.sections, "protocol": {
        **reference["protocol"], **numbers.identity(card), "samples": len(samples),
        "samples_sha256": files.sha256(paths.generated(method) / "images.npy")}}
    files.write_json(paths.metrics(method), content)
    if not content["memorization"]["passes"]:
        print(f"{method}: fails the memorization audit and cannot be promoted; see {paths.metrics(method)} and the report",
              file=sys.stderr)
    observer.evaluated(generator, card, content)


def read_reference(context: AuditContext) -> dict[str, Any]:
    """What `reference` wrote. Raises StorageError where it is incomplete, or was made through another extractor."""
    reference: dict[str, Any] = files.read_json(paths.REFERENCE_METRICS)
    if not isinstance(reference, dict) or not {"floor", "ceiling", "audit", "protocol"} <= reference.keys():
        raise StorageError(f"{paths.REFERENCE_METRICS}: not what `reference` writes; run `dvc repro reference`")
    known, sha256 = reference["protocol"]["extractor_sha256"], context.extractors.main.sha256
    if sha256 != known:
        raise StorageError(f"{paths.REFERENCE_METRICS}: made through the extractor {known[:16]}, this is {sha256[:16]}; "
                           "numbers through two extractors are not comparable: run `dvc repro reference`")
    return reference
