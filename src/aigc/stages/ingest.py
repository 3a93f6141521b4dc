"""ingest: the source, decoded once, with a manifest that says of each picture what it is and which split it is in."""

from aigc.core import config, files, paths
from aigc.data import manifest, pictures, sources, splits


def run() -> None:
    chosen = config.section("data", config.Data)
    found = sources.read(chosen)
    table = manifest.describe(found)
    table["split"] = splits.assign(table["sha256"], found.labels, chosen.split)
    files.write_npy(paths.RAW / "images.npy", found.images)
    pictures.write_labels(paths.RAW, found.labels, found.classes)
    with files.replacing(paths.RAW / "manifest.parquet") as temporary:
        table.to_parquet(temporary, index=False)
