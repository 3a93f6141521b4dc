"""Writes reports/report.html: collects the facts for the template."""

import struct
from typing import Any

import numpy as np
import pandas as pd

from aigc import methods
from aigc.core import config, files, paths
from aigc.data import pictures, splits
from aigc.data.pictures import Pictures
from aigc.evaluation import model_identity, own_measures
from aigc.metrics import ruler, table
from aigc.model.card import WEIGHTS, parameter_count, read_card
from aigc.reporting import figures, page, standing
from aigc.reporting.figures import Point
from aigc.reporting.grid import grid, png, write_png
from aigc.reporting.svg import COLOURS, Drawing

SHOWN = 16  # pictures a row
SCALE = 2


def write() -> None:
    """Write reports/overview.png and reports/report.html."""
    content = config.read()
    reference = files.read_object(paths.REFERENCE_METRICS, "reference", "floor.fid.value",
                                  "ceiling.fid.value", "ruler.undamaged.fid.value",
                                  "protocol.extractor_sha256", "audit.controls", "audit.collapse")
    facts = sorted(map(method_facts, config.methods(content)),
                   key=lambda method: method["metrics"]["fid"]["value"])
    apart = [method for method in facts if "classes" in method["metrics"]["protocol"]]
    ranked = [method for method in facts if method not in apart]
    real = {name: pictures.open_folder(paths.PROCESSED / name) for name in splits.NAMES}
    rows = write_overview(real["test"], [method["name"] for method in [*ranked, *apart]])
    shared = reference_facts(reference)
    files.write_bytes(paths.REPORT, page.render(
        page.REPORT, methods=[*ranked, *apart], ranked=ranked, apart=apart, **rows, shown=SHOWN,
        verdict=standing.verdict(ranked), standings=standing.standings(ranked),
        ranking=figures.ranking({method["name"]: method["metrics"] for method in ranked}, shared["marks"],
                                reference["floor"]["fid"]["value"]),
        trade_offs=trade_offs(ranked),
        as_far_as={method["name"]: ruler.as_far_as(method["metrics"]["fid"]["value"], reference["ruler"])
                   for method in ranked}, **shared, **settings_facts(content),
        **data_facts(real),
        collapse=[*((method["title"], method["metrics"]["collapse"]) for method in [*ranked, *apart]),
                  ("floor: real holdout", reference["audit"]["collapse"])]))


def write_overview(test: Pictures, names: list[str]) -> dict[str, Any]:
    """Write reports/overview.png: a row of real test pictures, then one of samples of each method.

    The facts about the rows: the PNG of the real one and {method: PNG}, their width and height.
    """
    every = max(1, len(test) // SHOWN)  # the source may be sorted by class
    rows = [test.images[::every][:SHOWN],
            *(pictures.open_folder(paths.generated(name)).images[:SHOWN] for name in names)]
    write_png(paths.OVERVIEW, grid(np.concatenate(rows), SHOWN), SCALE)
    first, *others = (png(grid(np.asarray(images), SHOWN)) for images in rows)
    return {"real_row": first, "sample_rows": dict(zip(names, others, strict=True)),
            "row_width": png_width(first), "row_height": png_height(first)}


def trade_offs(ranked: list[dict[str, Any]]) -> list[tuple[Drawing, str]]:
    """FID over what a training costs on any machine, and what that is; nothing for less than two methods."""
    costs = {"images": "images seen in training", "parameters": "parameters"} if ranked[1:] else {}
    return [(figures.trade_off([Point(method["name"], method[key], method["metrics"]["fid"]["value"],
                                      COLOURS[rank % len(COLOURS)]) for rank, method in enumerate(ranked)],
                               title), title) for key, title in costs.items()]


def reference_facts(reference: dict[str, Any]) -> dict[str, Any]:
    """The facts about the metrics: protocol, floor, ceiling, ruler, controls."""
    shown = [metric for metric in table.on_page("report") if metric.name in reference["floor"]]
    return {"protocol": reference["protocol"], "floor": reference["floor"], "ceiling": reference["ceiling"],
            "marks": {title: reference["ruler"][name] for name, title in ruler.TITLES.items()
                      if name in reference["ruler"]},
            "columns": [(metric.name, metric.heading) for metric in shown],
            "meanings": [(metric.heading, metric.meaning.format_map(reference["protocol"]))
                         for metric in shown],
            "published": reference["audit"].get("published"),
            "controls": reference["audit"]["controls"], "real_labels": reference["audit"].get("labels")}


def settings_facts(content: dict[str, Any]) -> dict[str, Any]:
    """The facts from params.yaml."""
    return {"source": content["data"]["source"], "arithmetic": content["runtime"]["arithmetic"],
            "limit": content["audit"]["max_near_duplicates"],
            "near_duplicate": content["audit"]["near_duplicate"],
            "seed": content["generate"]["seed"], "outlier": content["evaluator"]["outlier"]}


def data_facts(real: dict[str, Pictures]) -> dict[str, Any]:
    """The facts about the data: origin, size, the result of the gate, pictures of failed expectations."""
    raw, validation = pictures.open_folder(paths.RAW), files.read_object(paths.VALIDATION, "validate",
                                                                         "results", "rows")
    failed = [{**result, "picture": failed_pictures(raw.images, result)} for result in validation["results"]
              if not result["success"]]
    _, channels, size, _ = real["test"].images.shape
    return {"counts": {name: len(split) for name, split in real.items()}, "size": size, "channels": channels,
            "classes": real["test"].classes, "origin": pictures.read_origin(paths.RAW),
            "ingested": files.read_object(paths.RAW / "counts.json", "ingest", "found", "used",
                                          "quarantined"),
            "validation": validation, "failed_expectations": failed, "doubtful": doubtful(real)}


def failed_pictures(images: np.ndarray, result: dict[str, Any]) -> bytes | None:
    """The first pictures that fail an expectation, each above the one that it resembles: a PNG, or None."""
    rows = result["example_rows"]
    if not rows:
        return None
    return png(grid(np.asarray(images[[*rows, *result["partners"]]]), len(rows)), SCALE)


def doubtful(real: dict[str, Pictures]) -> dict[str, Any]:
    """The pictures that may have the wrong label: how many, the first as a PNG, a line for each of these."""
    table = pd.read_csv(paths.EVALUATOR_OUTLIERS, converters={"class": str, "seen_as": str})
    first = table.head(SHOWN)
    if first.empty:
        return {"count": 0}
    manifest = pd.read_parquet(paths.RAW / "manifest.parquet", columns=["split", "path"])
    names = {split: manifest["path"][manifest["split"] == split].tolist()
             for split in first["split"].unique()}
    lines = [f"{names[row.split][row.row]} ({row.split} {row.row}): {label}, predicted as {row.seen_as}"
            for row, label in zip(first.itertuples(), first["class"], strict=True)]
    images = np.stack([real[split].images[row]
                       for split, row in zip(first["split"], first["row"], strict=True)])
    return {"count": len(table), "picture": png(grid(images, len(images)), SCALE), "lines": lines}


def method_facts(name: str) -> dict[str, Any]:
    """The facts about one method."""
    history = pd.read_csv(paths.history(name))
    card = read_card(paths.model(name))
    metrics = model_identity.read_metrics(name, card)
    model_identity.check_samples(name, card, metrics["protocol"]["samples_sha256"])
    weights, _ = files.read_tensors(paths.model(name) / WEIGHTS)
    by_class = pd.read_csv(paths.classes(name), converters={"class": str})
    protocol = metrics["protocol"]
    title = f"{name} (n = {protocol['n']})" if "classes" in protocol else name
    return {"name": name, "title": title, "summary": methods.summary(name), "metrics": metrics,
            "collapsed": own_measures.collapsed(metrics.get("own", {})),
            "images": int(history["images"].iloc[-1]), "parameters": parameter_count(weights),
            "config": card.config, "weights_sha256": card.weights_sha256,
            "ancestors": card.ancestors,
            "grid": paths.grid(name).read_bytes(), "latents": paths.latents(name).read_bytes(),
            "latents_caption": latents_caption(name), "losses": figures.losses(history),
            "classes": figures.class_shares(by_class) if len(by_class) > 1 else None,
            "by_class": by_class.astype(object).where(by_class.notna(), None).to_dict("records"),
            "confusion": figures.confusion(by_class) if "support" in by_class else None,
            "nearest": pairs(name)}



def latents_caption(name: str) -> str:
    """What latents.png of a method shows, by the method's capabilities (see stages/generate.py)."""
    method = methods.method_class(name)
    captions = []
    if method.interpolates:
        captions.append("Each row: from one latent to another.")
    if method.reconstructs:
        captions.append("The last two rows: real test pictures over their reconstructions.")
    if method.translates:
        captions.append("Rows: pictures of one class, the same translated to the other, and translated back; "
                        "then the same from the other class. All are holdout pictures, not selected.")
    return " ".join(captions) or "More samples."


def pairs(name: str) -> Drawing:
    """The samples of one method that are nearest to training pictures, above these."""
    rows = pd.read_csv(paths.nearest(name))
    return figures.pairs(pictures.open_folder(paths.generated(name)).images[rows["sample"]],
                         pictures.open_folder(paths.PROCESSED / "train").images[rows["train"]], rows)


def png_width(png: bytes) -> int:
    """The width in pixels, from the header of a PNG."""
    return int(struct.unpack(">I", png[16:20])[0])


def png_height(png: bytes) -> int:
    """The height in pixels, from the header of a PNG."""
    return int(struct.unpack(">I", png[20:24])[0])
