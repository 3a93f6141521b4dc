"""reference: what the evaluations of all methods share.

The statistics of real pictures; the floor (real against real); the ceiling (noise against real); the ruler
(damaged real pictures against real), which the extractor must order; and the controls of the memorization
audit, which are copies of training pictures that it must detect.
"""

from aigc.core import config, files, hashes, paths, runtime
from aigc.core.runtime import RuntimeConfig
from aigc.evaluation import audit, fidelity, memorization_audit, ruler_marks
from aigc.evaluation.audit import AuditContext
from aigc.evaluation.config import AuditConfig, EvaluateConfig


def run() -> None:
    settings, switches = config.section("evaluate", EvaluateConfig), config.section("runtime", RuntimeConfig)
    limits = config.section("audit", AuditConfig)
    device = runtime.start_torch(switches.arithmetic, switches.threads)
    context = AuditContext.open(settings, limits, device)
    size, extract = context.size, context.extractors.extract
    test, holdout = context.splits.test.images[:size], context.splits.holdout.images
    test_features = extract(test, str(paths.PROCESSED / "test"), size)
    holdout_features = extract(holdout, str(paths.PROCESSED / "holdout"), size)
    noise_features = extract(fidelity.Noise(test.shape, settings.seed), "noise", size)
    metric_settings = fidelity.settings_of(settings)
    real = fidelity.real_statistics(test_features, metric_settings)
    fidelity.write_real_statistics(paths.REFERENCE, real)
    protocol = fidelity.protocol(
        context.extractors, settings, real_samples=size, floor_samples=len(holdout),
        floor="real holdout against real test, same n", ceiling="uniform noise against real test, same n",
        real_sha256=hashes.array_sha256(test), audit=limits.model_dump())
    marks = ruler_marks.measure(real, context.extractors, context.splits.holdout, holdout_features,
                                settings.seed, metric_settings)
    sections = audit.measure_real(context, test_features[fidelity.MAIN].features,
                                  holdout_features[fidelity.MAIN], paths.REFERENCE)
    files.write_json(paths.REFERENCE_METRICS, {
        "floor": fidelity.measure(real, holdout_features, metric_settings),
        "ceiling": fidelity.measure(real, noise_features, metric_settings),
        "ruler": marks, "protocol": protocol, "audit": sections})
    ruler_marks.check(marks, protocol)
    memorization_audit.check_controls(sections["controls"], limits.max_near_duplicates)
