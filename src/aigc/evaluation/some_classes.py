"""The reference of a method that learns from some of the classes: real pictures of these classes alone.

Not for the memorization audit, which compares with all training pictures in any case. n is at most the number
of pictures that there are: the numbers have a protocol of their own.
"""

from dataclasses import replace
from typing import Any

from aigc.core import hashes, paths
from aigc.core.errors import DataError
from aigc.data import pictures
from aigc.data.splits import NAMES
from aigc.evaluation import audit, fidelity
from aigc.evaluation.audit import AuditContext, Splits
from aigc.evaluation.config import SMALLEST_SAMPLE
from aigc.metrics.real import RealStatistics


def narrowed(context: AuditContext, names: list[str], samples: int) -> AuditContext:
    """The context with pictures of the classes `names` alone, at the largest n up to evaluate.sample_size.

    samples: how many there are. Raises DataError when there are fewer than SMALLEST_SAMPLE of anything.
    """
    learned, holdout, test = (pictures.open_folder(paths.PROCESSED / name).only(names) for name in NAMES)
    counts = {"samples": samples, f"pictures of {paths.PROCESSED / 'holdout'}": len(holdout),
              f"pictures of {paths.PROCESSED / 'test'}": len(test)}
    few = min(counts, key=lambda what: counts[what])
    if counts[few] < SMALLEST_SAMPLE:
        raise DataError(f"{counts[few]} {few} are of {' or '.join(names)}, at least {SMALLEST_SAMPLE} are "
                        "needed; raise its share under `data.split`, or add pictures of these classes")
    size = min(counts[few], context.size)
    return replace(context, config=context.config.model_copy(update={"sample_size": size}),
                   splits=Splits(context.splits.train, holdout.spread(size), test.spread(size), learned))


def reference(context: AuditContext, names: list[str],
              shared: dict[str, Any]) -> tuple[dict[str, RealStatistics], dict[str, Any]]:
    """The statistics of the real pictures and, in the form of reports/metrics/reference.json, the numbers.

    context: from `narrowed`. shared: the numbers for all classes, of which the memorization audit's are kept.
    """
    size, extract = context.size, context.extractors.extract
    settings = fidelity.settings_of(context.config)
    test, holdout = context.splits.test.images[:size], context.splits.holdout.images
    features = {name: extract(images, str(paths.PROCESSED / name), size)
                for name, images in (("test", test), ("holdout", holdout),
                                     ("noise", fidelity.Noise(test.shape, context.config.seed)))}
    real = fidelity.real_statistics(features["test"], settings)
    sections = audit.measure_holdout(context, features["test"][fidelity.MAIN].features,
                                     features["holdout"][fidelity.MAIN])
    protocol = {**shared["protocol"], "n": size, "classes": names, "real_samples": size,
                "floor_samples": len(holdout), "real_sha256": hashes.array_sha256(test)}
    return real, {"floor": fidelity.measure(real, features["holdout"], settings),
                  "ceiling": fidelity.measure(real, features["noise"], settings),
                  "audit": {"memorization": shared["audit"]["memorization"], **sections},
                  "protocol": protocol}
