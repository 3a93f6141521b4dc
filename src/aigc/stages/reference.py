"""reference: what every evaluation shares. Features of the real splits, and the floor: real against real."""

from aigc.core import config, files, paths, runtime
from aigc.core.errors import DataError
from aigc.data import pictures
from aigc.features.extractor import Extractor
from aigc.metrics.frechet import fid
from aigc.metrics.inception_score import inception_score
from aigc.metrics.intervals import rounded


def run() -> None:
    chosen, switches = config.section("evaluate", config.Evaluate), config.section("runtime", config.Runtime)
    extractor = Extractor(runtime.start_torch(switches.arithmetic, switches.threads))
    size = chosen.sample_size
    seen = {}
    for split in ("holdout", "test"):
        found = pictures.open_folder(paths.PROCESSED / split)
        if len(found) < size:
            raise DataError(f"{paths.PROCESSED / split}: {len(found)} pictures are fewer than evaluate.sample_size ({size}); "
                            f"lower it, or raise data.split.{split}")
        seen[split] = extractor.see(found.images[:size])
        files.write_npy(paths.REFERENCE / f"{split}_features.npy", seen[split].features)
    floor = {"fid": rounded(fid(seen["test"].features, seen["holdout"].features)),
             "is": rounded(inception_score(seen["holdout"].logits))}
    protocol = {**extractor.protocol(), "n": size, "floor": "real holdout against real test, same n"}
    files.write_json(paths.REFERENCE_METRICS, {"floor": floor, "protocol": protocol})
