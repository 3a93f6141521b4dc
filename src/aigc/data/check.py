"""`aigc data check`: what ingest and validate would make of a path, said before anything is changed."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from aigc.core import config, paths
from aigc.core.config import FEWEST_CLASSES
from aigc.core.errors import ConfigError, GateError
from aigc.data import expectations, gate
from aigc.data.config import DataConfig, GateConfig, PreprocessConfig
from aigc.data.ingest import Counts, ingest
from aigc.data.sources import arrays
from aigc.data.sources.published import CIFAR_ARCHIVE
from aigc.evaluation.config import SMALLEST_SAMPLE, EvaluateConfig

LISTED = 20  # quarantined pictures, and classes, that are printed
ARRAYS = (".npy", ".npz")
SUMMARISED = ["label", "class_name", "split", "source_height", "source_width", "source_mode", "aspect"]


def run(path: Path, processes: int, needing_classes: Callable[[], list[str]] = list) -> int:
    """Print what would happen to `path`; return 0 when it is ready to train.

    needing_classes: the methods of params.yaml that need classes; called where there are none. Raises
    GateError, DataError or ConfigError when the path is not ready.
    """
    content = config.read()
    stated = config.section("data", DataConfig, content)
    data = recognise(path, stated)
    shape = config.section("preprocess", PreprocessConfig, content)
    limits = config.section("validate", GateConfig, content)
    counts, judged, table, quarantine = examine(data, shape, limits, processes)
    verdict = judged.verdict
    print(summary(path, data, counts, table, shape))
    if len(quarantine):
        listed = (f"  {row.path}: {row.reason}" for row in quarantine.head(LISTED).itertuples())
        print("\n".join(["quarantined:", *listed]))
    if len(quarantine) > LISTED:
        print(f"  and {len(quarantine) - LISTED} more")
    if failures := expectations.failures_table(verdict, judged.examples):
        print(failures)
    problems = obstacles(counts, verdict, table, data, config.section("evaluate", EvaluateConfig, content))
    if table["class_name"].nunique() < FEWEST_CLASSES and (names := needing_classes()):
        problems.append(f"{', '.join(names)} needs classes; take it out of `methods`")
    if problems:
        raise GateError(f"{path}: not ready: {'; '.join(problems)}")
    changes = to_set(data, stated)
    print(f"ready: in params.yaml set {changes}, then `dvc repro`" if changes else "ready: `dvc repro`")
    return 0


def examine(data: DataConfig, shape: PreprocessConfig, limits: GateConfig,
            processes: int) -> tuple[Counts, gate.Judged, pd.DataFrame, pd.DataFrame]:
    """Ingest and the gate in a temporary folder: counts, what was judged, the manifest, the quarantine.

    Of the manifest the columns that a summary needs, with the computed ones.
    """
    with tempfile.TemporaryDirectory(prefix="aigc-check-") as name:
        folder = Path(name)
        # A quarantine over the limit is listed too: the caller judges it.
        counts = ingest(data.model_copy(update={"max_quarantined": 1.0}), shape, processes, folder / "raw")
        reference = paths.DATA_REFERENCE / "manifest.parquet"
        judged = gate.judge(folder / "raw", limits, folder / "docs", reference)
        table = pd.read_parquet(folder / "raw" / "manifest.parquet", columns=SUMMARISED)
        computed = judged.computed.drop(columns=["label"])
        return counts, judged, table.join(computed), pd.read_csv(folder / "raw" / "quarantine.csv")


def recognise(path: Path, stated: DataConfig) -> DataConfig:
    """The data section for what lies at `path`. Raises ConfigError when it looks like no source."""
    if not path.exists():
        raise ConfigError(f"{path}: no such file or folder; name a folder of pictures, a .csv, a .npy or a "
                          ".npz")
    if path.is_file():
        if path.suffix.lower() in ARRAYS:
            return stated.model_copy(update={"source": "npy", "path": str(path)})
        if path.suffix.lower() == ".csv":
            return stated.model_copy(update={"source": "csv", "path": str(path.parent), "table": path.name})
        raise ConfigError(f"{path}: neither a folder, nor .csv, .npy or .npz; name the folder that holds it")
    if not path.is_dir():
        raise ConfigError(f"{path}: neither a folder nor a file; name a folder of pictures, a .csv, a .npy "
                          "or a .npz")
    kind = "folder"
    if (path / "images.npy").exists():
        kind = "npy"
    elif any(arrays.is_idx_images(place.name) for place in path.iterdir()):
        kind = "idx"
    elif (path / CIFAR_ARCHIVE).exists():
        kind = "cifar10"
    elif (path / stated.table).is_file():
        kind = "csv"
    return stated.model_copy(update={"source": kind, "path": str(path)})


def summary(path: Path, data: DataConfig, counts: Counts, table: pd.DataFrame,
            shape: PreprocessConfig) -> str:
    """What was found, as lines of text."""
    classes, splits = table["class_name"].value_counts().sort_index(), table["split"].value_counts()
    low, high = (getattr(table[["source_width", "source_height"]], which)() for which in ("min", "max"))
    shown = ", ".join(f"{name or 'unlabelled'} {count}" for name, count in list(classes.items())[:LISTED])
    modes = table["source_mode"].value_counts().sort_index()
    return "\n".join([
        f"{path}: {data.source}",
        f"  pictures   {counts.found} found: {counts.used} used, {counts.quarantined} quarantined; "
        f"{counts.ignored} other files ignored",
        f"  classes    {len(classes)}: {shown}{', …' if len(classes) > LISTED else ''}",
        f"  sizes      {low.iloc[0]} to {high.iloc[0]} wide, {low.iloc[1]} to {high.iloc[1]} high",
        f"  modes      {', '.join(f'{mode} {count}' for mode, count in modes.items())}",
        f"  the model  sees {shape.size} x {shape.size}, {'grey' if shape.channels == 1 else 'colour'}, "
        f"{shape.fit}",
        f"  splits     {', '.join(f'{name} {splits.get(name, 0)}' for name in ('train', 'holdout', 'test'))}",
        f"  licence    {data.licence or 'none stated in params.yaml (data.licence)'}",
        *counts.lines(),
    ])


def obstacles(counts: Counts, verdict: dict[str, Any], table: pd.DataFrame, data: DataConfig,
              evaluate: EvaluateConfig) -> list[str]:
    """What would stop the pipeline, each with its remedy."""
    found = []
    share = counts.quarantined / counts.found
    if share > data.max_quarantined:
        found.append(f"{share:.1%} of the pictures cannot be used, over data.max_quarantined "
                     f"({data.max_quarantined:.1%}); mend or remove them, or raise it")
    failed = expectations.failed(verdict["results"], "critical")
    if failed:
        names = ", ".join(dict.fromkeys(result["name"] or "structure" for result in failed))
        found.append(f"{len(failed)} expectations fail ({names}); mend the data or the thresholds under "
                     "`validate`")
    smallest = min((table["split"] == name).sum() for name in ("holdout", "test"))
    size = evaluate.sample_size
    if size < SMALLEST_SAMPLE:
        found.append(f"evaluate.sample_size ({size}) is below {SMALLEST_SAMPLE}, which the audit's controls "
                     "need; raise it")
    if smallest < size:
        found.append(f"evaluate.sample_size ({size}) is over the {smallest} pictures that the metrics would "
                     "have; lower it")
    return found


def to_set(data: DataConfig, stated: DataConfig) -> str:
    """What in params.yaml must change for this source; "" where nothing must."""
    changes = {key: value for key, value in data.model_dump(exclude={"split"}).items()
               if value != getattr(stated, key)}
    return ", ".join(f"data.{key}: {value}" for key, value in changes.items())
