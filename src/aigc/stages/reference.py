"""reference: what every evaluation shares. The real side of the metrics; floor, real against real; ceiling, noise
against real; and the memorization audit's controls, planted copies that it must catch."""

from aigc.core import config, files, hashes, paths, runtime
from aigc.core.runtime import RuntimeConfig
from aigc.evaluation import audit, fidelity, memorization
from aigc.evaluation.audit import AuditContext
from aigc.evaluation.config import AuditConfig, EvaluateConfig


def run() -> None:
    settings, switches = config.section("evaluate", EvaluateConfig), config.section("runtime", RuntimeConfig)
    limits = config.section("audit", AuditConfig)
    device = runtime.start_torch(switches.arithmetic, switches.threads)
    context = AuditContext.open(settings, limits, device)
    size, extract = context.size, context.extractors.extract
    test, holdout = context.splits.test.images[:size], context.splits.holdout.images
    of_test = extract(test, str(paths.PROCESSED / "test"), size)
    of_holdout = extract(holdout, str(paths.PROCESSED / "holdout"), size)
    of_noise = extract(fidelity.Noise(test.shape, settings.seed), "noise", size)
    metric_settings = fidelity.settings_of(settings)
    real = fidelity.real_sides(of_test, metric_settings)
    fidelity.write_real_sides(paths.REFERENCE, real)
    protocol = fidelity.protocol(
        context.extractors.main, settings, real_samples=size, floor_samples=len(holdout),
        floor="real holdout against real test, same n", ceiling="uniform noise against real test, same n",
        real_sha256=hashes.array_sha256(test), audit=limits.model_dump())
    sections = audit.of_real(context, of_test[fidelity.MAIN].features, of_holdout[fidelity.MAIN], paths.REFERENCE)
    files.write_json(paths.REFERENCE_METRICS, {
        "floor": fidelity.measure(real, of_holdout, metric_settings),
        "ceiling": fidelity.measure(real, of_noise, metric_settings),
        "protocol": protocol, "audit": sections})
    memorization.insist(sections["controls"], limits.max_near_duplicates)
