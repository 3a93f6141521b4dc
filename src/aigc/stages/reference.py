"""reference: what every evaluation shares. The real side of the metrics; floor, real against real; ceiling, noise
against real; and the memorization audit's controls, planted copies that it must catch."""

from aigc.core import config, files, paths, provenance, runtime
from aigc.evaluation import audit, fidelity, memorization
from aigc.features.extractor import Extractor, open_eye


def run() -> None:
    chosen, switches = config.section("evaluate", config.Evaluate), config.section("runtime", config.Runtime)
    auditing = config.section("audit", config.Audit)
    device = runtime.start_torch(switches.arithmetic, switches.threads)
    classifier = Extractor(device)
    eye = classifier if chosen.extractor == "classifier" else open_eye(chosen, device)
    size = chosen.sample_size
    real_splits = audit.open_splits(size)
    seen = {}
    for split, images in (("holdout", real_splits.holdout.images), ("test", real_splits.test.images[:size])):
        seen[split] = fidelity.look(eye, images, str(paths.PROCESSED / split), size)
        files.write_npy(paths.REFERENCE / f"{split}_features.npy", seen[split].features)
    real = fidelity.of(seen["test"].features, chosen)
    real.write(paths.REFERENCE)
    noise = fidelity.look(eye, fidelity.noise(size, images.shape[1:], chosen.seed), "noise", size)
    protocol = {**eye.protocol(), "n": size, "real_samples": len(real.features), "floor_samples": len(seen["holdout"].features),
                "floor": "real holdout against real test, same n", "ceiling": "uniform noise against real test, same n",
                "precision_neighbours": chosen.precision_neighbours, "coverage_neighbours": chosen.coverage_neighbours,
                "intervals": fidelity.INTERVALS,
                "real_sha256": provenance.array_sha256(real_splits.test.images[:size]), "seed": chosen.seed, "audit": auditing.model_dump()}
    sections = audit.of_real(real_splits, audit.Through(eye, classifier, device), size, auditing, paths.REFERENCE)
    files.write_json(paths.REFERENCE_METRICS, {
        "floor": fidelity.measure(real, seen["holdout"], chosen), "ceiling": fidelity.measure(real, noise, chosen),
        "protocol": protocol, "audit": sections})
    memorization.insist(sections["controls"], auditing.max_near_duplicates)
