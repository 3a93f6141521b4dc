"""report: the page a person opens, and the picture of it that stands in the README."""

import struct
from typing import Any

import numpy as np
import pandas as pd

from aigc import model
from aigc.core import config, files, paths
from aigc.data import pictures, splits
from aigc.methods import contract
from aigc.methods.families.encoding import Encoding
from aigc.reporting import figures, page
from aigc.reporting.grid import grid, png, write_png

SHOWN = 16
SCALE = 2
COLUMNS = (("fid", "FID ↓"), ("fid_infinity", "FID∞ ↓"), ("kid", "KID ↓"), ("precision", "precision ↑"), ("recall", "recall ↑"),
           ("density", "density ↑"), ("coverage", "coverage ↑"), ("is", "IS ↑"))


def run() -> None:
    content = config.read()
    found = {name: describe(name) for name in config.methods(content)}
    ranked = sorted(found.values(), key=lambda method: method["metrics"]["fid"]["value"])
    reference = files.read_json(paths.REFERENCE_METRICS)
    real = {name: pictures.open_folder(paths.PROCESSED / name) for name in splits.NAMES}
    every = max(1, len(real["test"]) // SHOWN)  # a source may be sorted by class
    rows = [real["test"].images[::every], *(pictures.open_folder(paths.generated(method["name"])).images for method in ranked)]
    write_png(paths.OVERVIEW, grid(np.concatenate([images[:SHOWN] for images in rows]), SHOWN), SCALE)
    ranking = figures.ranking({method["name"]: method["metrics"] for method in ranked})
    files.write_bytes(paths.REPORT, page.render(
        page.REPORT, methods=ranked, source=content["data"]["source"], counts={name: len(split) for name, split in real.items()},
        size=real["test"].images.shape[2], channels=real["test"].images.shape[1], classes=real["test"].classes,
        arithmetic=content["runtime"]["arithmetic"], protocol=reference["protocol"],
        floor=reference["floor"], ceiling=reference["ceiling"], columns=[column for column in COLUMNS if column[0] in reference["floor"]],
        controls=reference["audit"]["controls"], real_labels=reference["audit"].get("labels"),
        collapse=[*((method["name"], method["metrics"]["collapse"]) for method in ranked),
                  ("floor: real holdout", reference["audit"]["collapse"])],
        limit=content["audit"]["max_near_duplicates"], near_duplicate=content["audit"]["near_duplicate"],
        ranking=ranking, ranking_height=png_height(ranking), overview=paths.OVERVIEW.read_bytes(), shown=SHOWN,
        seed=content["generate"]["seed"], doubtful=doubtful(real), outlier=content["evaluator"]["outlier"], **judged()))


def judged() -> dict[str, Any]:
    """What the page says of the data: whose they are, what the gate said, and the pictures that it named."""
    raw, verdict = pictures.open_folder(paths.RAW), files.read_json(paths.VALIDATION)
    against = [{**result, "picture": evidence(raw.images, result)} for result in verdict["results"] if not result["success"]]
    return {"origin": pictures.read_origin(paths.RAW), "found": files.read_json(paths.RAW / "counts.json"), "validation": verdict,
            "against": against}


def evidence(images: np.ndarray, result: dict[str, Any]) -> bytes | None:
    """The first pictures against an expectation as a PNG, below each the one that it looks like; None where no row is named."""
    rows = result["example_rows"]
    if not rows:
        return None
    return png(grid(np.asarray(images[[*rows, *result["partners"]]]), len(rows)), SCALE)


def doubtful(real: dict[str, pictures.Pictures]) -> dict[str, Any]:
    """The pictures whose label the evaluator doubts most: how many there are, one picture of the first, and a line for each."""
    table = pd.read_csv(paths.EVALUATOR_OUTLIERS, converters={"class": str, "seen_as": str})
    first = table.head(SHOWN)
    if first.empty:
        return {"count": 0}
    manifest = pd.read_parquet(paths.RAW / "manifest.parquet", columns=["split", "path"])
    names = {split: manifest["path"][manifest["split"] == split].tolist() for split in first["split"].unique()}
    told = [f"{names[row.split][row.row]} ({row.split} {row.row}): {label}, seen as {row.seen_as}"
            for row, label in zip(first.itertuples(), first["class"], strict=True)]
    images = np.stack([real[split].images[row] for split, row in zip(first["split"], first["row"], strict=True)])
    return {"count": len(table), "picture": png(grid(images, len(images)), SCALE), "told": told}


def describe(name: str) -> dict[str, Any]:
    """What the page says of one method."""
    history = pd.read_csv(paths.history(name))
    card = model.read_card(paths.model(name))
    weights, _ = files.read_tensors(paths.model(name) / model.WEIGHTS)
    by_class = pd.read_csv(paths.classes(name), converters={"class": str})
    nearest = pairs(name)
    summary = " ".join((contract.page(name).__doc__ or name).split("\n\n")[0].split())
    return {
        "name": name, "metrics": files.read_json(paths.metrics(name)), "summary": summary, "images": int(history["images"].iloc[-1]),
        "parameters": model.parameters(weights), "config": card.config,
        "weights_sha256": card.weights_sha256, "grid": paths.grid(name).read_bytes(), "latents": paths.latents(name).read_bytes(),
        "encodes": issubclass(contract.page(name).Build, Encoding),
        "losses": figures.losses(history), "classes": figures.class_shares(by_class) if len(by_class) > 1 else None,
        "by_class": by_class.astype(object).where(by_class.notna(), None).to_dict("records"),
        "confusion": figures.confusion(by_class) if "support" in by_class else None,
        "nearest": nearest, "nearest_height": png_height(nearest) * 1008 // png_width(nearest),
    }


def pairs(name: str) -> bytes:
    """The samples of one method that lie nearest to training pictures, beside these: a PNG."""
    rows = pd.read_csv(paths.nearest(name))
    return figures.pairs(pictures.open_folder(paths.generated(name)).images[rows["sample"]],
                         pictures.open_folder(paths.PROCESSED / "train").images[rows["train"]], rows)


def png_width(png: bytes) -> int:
    """The width in pixels that a PNG's header gives."""
    return int(struct.unpack(">I", png[16:20])[0])


def png_height(png: bytes) -> int:
    """The height in pixels that a PNG's header gives."""
    return int(struct.unpack(">I", png[20:24])[0])
