"""evaluate: the numbers of one method's samples, each with its interval, its floor, its ceiling and its
protocol.
"""

import sys
from typing import Any

from aigc import methods
from aigc.core import config, files, paths, runtime
from aigc.core.errors import StorageError
from aigc.core.runtime import RuntimeConfig
from aigc.data import pictures
from aigc.evaluation import audit, fidelity, model_identity, own_measures, published_protocol, some_classes
from aigc.evaluation.audit import AuditContext, Samples
from aigc.evaluation.config import AuditConfig, EvaluateConfig
from aigc.model.card import read_card
from aigc.training.observer import Observer


def run(method: str, observer: Observer) -> None:
    settings, switches = config.section("evaluate", EvaluateConfig), config.section("runtime", RuntimeConfig)
    device = runtime.start_torch(switches.arithmetic, switches.threads)
    context = AuditContext.open(settings, config.section("audit", AuditConfig), device)
    reference = read_reference(context)
    samples = pictures.open_folder(paths.generated(method)).named(context.splits.test.classes)
    model_identity.check_samples(method, read_card(paths.model(method)))
    generator, card = methods.load(paths.model(method), device)
    if names := generator.learns_from:
        context = some_classes.narrowed(context, names, len(samples))
        real, reference = some_classes.reference(context, names, reference)
    else:
        real = fidelity.read_real_statistics(paths.REFERENCE, fidelity.settings_of(settings))
    metric_settings = fidelity.settings_of(context.config)
    features = context.extractors.extract(samples.images, str(paths.generated(method)), context.size)
    measured = fidelity.with_references(fidelity.measure(real, features, metric_settings),
                                        floor=reference["floor"], ceiling=reference["ceiling"])
    main = features[fidelity.MAIN]
    audited = audit.measure_method(
        context, Samples(generator, samples, main.features, context.predicted_classes(samples.images, main),
                         card.config["batch_size"]),
        real[fidelity.MAIN].features, reference["audit"], paths.REFERENCE)
    files.write_csv(paths.classes(method), audited.classes)
    files.write_csv(paths.nearest(method), audited.nearest)
    files.write_csv(paths.confusion(method), audited.confusion)
    content = {**measured, **audited.sections, "protocol": {
        **reference["protocol"], **model_identity.identity(card), "samples": len(samples),
        "samples_sha256": files.sha256(paths.generated(method) / "images.npy"),
        **published_protocol.entry(settings, len(samples), len(context.splits.train),
                                   len(context.splits.holdout))}}
    files.write_json(paths.metrics(method), content)
    if not content["memorization"]["passes"]:
        print(f"{method}: fails the memorization audit and cannot be promoted; see "
              f"{paths.metrics(method)} and the report", file=sys.stderr)
    for name in own_measures.collapsed(content["own"]):
        print(f"{method}: {name}; see {paths.metrics(method)} and the report", file=sys.stderr)
    observer.evaluated(generator, card, content)


def read_reference(context: AuditContext) -> dict[str, Any]:
    """The numbers of `reference`. Raises StorageError if they are incomplete or of another extractor."""
    reference = files.read_object(paths.REFERENCE_METRICS, "reference", "floor.fid.value",
                                  "ceiling.fid.value",
                                  "audit.memorization", "audit.collapse.within", "protocol.extractor_sha256")
    expected, found = (fidelity.hashes(protocol)
                       for protocol in (reference["protocol"], context.extractors.protocol()))
    for name in found:
        if expected.get(name) != found[name]:
            raise StorageError(f"{paths.REFERENCE_METRICS}: made with the extractor "
                               f"{str(expected.get(name))[:16]}, this is {found[name][:16]}; numbers of "
                               "different extractors are not comparable; run `dvc repro reference`")
    return reference
