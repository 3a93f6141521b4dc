"""reference: what every evaluation shares. The real side of the metrics; floor, real against real; ceiling, noise
against real; and the memorization audit's controls, planted copies that it must catch."""

from aigc.core import config, files, paths, provenance, runtime
from aigc.evaluation import audit, fidelity, memorization


def run() -> None:
    chosen, switches = config.section("evaluate", config.Evaluate), config.section("runtime", config.Runtime)
    auditing = config.section("audit", config.Audit)
    device = runtime.start_torch(switches.arithmetic, switches.threads)
    through, size = audit.Through.open(chosen, device), chosen.sample_size
    real_splits = audit.open_splits(size)
    test, holdout = real_splits.test.images[:size], real_splits.holdout.images
    real = fidelity.of(fidelity.look(through.eye, test, str(paths.PROCESSED / "test"), size).features, chosen)
    real.write(paths.REFERENCE)
    held_out = fidelity.look(through.eye, holdout, str(paths.PROCESSED / "holdout"), size)
    noise = fidelity.look(through.eye, fidelity.Noise(test.shape, chosen.seed), "noise", size)
    protocol = {**through.eye.protocol(), "n": size, "real_samples": len(real.features), "floor_samples": len(holdout),
                "floor": "real holdout against real test, same n", "ceiling": "uniform noise against real test, same n",
                "precision_neighbours": chosen.precision_neighbours, "coverage_neighbours": chosen.coverage_neighbours,
                "intervals": fidelity.INTERVALS,
                "real_sha256": provenance.array_sha256(test), "seed": chosen.seed, "audit": auditing.model_dump()}
    sections = audit.of_real(real_splits, through, real.features, held_out, auditing, paths.REFERENCE)
    files.write_json(paths.REFERENCE_METRICS, {
        "floor": fidelity.measure(real, held_out, chosen), "ceiling": fidelity.measure(real, noise, chosen),
        "protocol": protocol, "audit": sections})
    memorization.insist(sections["controls"], auditing.max_near_duplicates)
