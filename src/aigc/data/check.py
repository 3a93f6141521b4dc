"""`aigc data check`: what ingest and validate would make of a path, told before anything is changed."""

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

LISTED = 20  # quarantined pictures that are printed


def run(path: Path, processes: int, needing_classes: Callable[[], list[str]] = list) -> int:
    """Print what would happen to `path`; return 0 when it is ready to train. Raises GateError, DataError or ConfigError when not.

    needing_classes: the chosen methods that cannot do without classes; asked where there are none.
    """
    content = config.read()
    given = config.section("data", DataConfig, content)
    chosen = recognise(path, given)
    shape, limits = config.section("preprocess", PreprocessConfig, content), config.section("validate", GateConfig, content)
    with tempfile.TemporaryDirectory(prefix="aigc-check-") as name:
        folder = Path(name)
        # Everything is to be told, too large a quarantine too: so it is judged here.
        counts = ingest(chosen.model_copy(update={"max_quarantined": 1.0}), shape, processes, folder / "raw")
        verdict, table = gate.judge(folder / "raw", limits, folder / "docs", paths.DATA_REFERENCE / "manifest.parquet")
        quarantine = pd.read_csv(folder / "raw" / "quarantine.csv")
    print(told(path, chosen, counts, table, shape))
    if len(quarantine):
        print("\n".join(["quarantined:", *(f"  {row.path}: {row.reason}" for row in quarantine.head(LISTED).itertuples())]))
    if len(quarantine) > LISTED:
        print(f"  and {len(quarantine) - LISTED} more")
    if failures := expectations.failures_table(verdict, table):
        print(failures)
    problems = obstacles(counts, verdict, table, chosen, config.section("evaluate", EvaluateConfig, content))
    if table["class_name"].nunique() < FEWEST_CLASSES and (names := needing_classes()):
        problems.append(f"{', '.join(names)} needs classes; take it out of `methods`")
    if problems:
        raise GateError(f"{path}: not ready: {'; '.join(problems)}")
    wanted = settings(chosen, given)
    print(f"ready: in params.yaml set {wanted}, then `dvc repro`" if wanted else "ready: `dvc repro`")
    return 0


def recognise(path: Path, given: DataConfig) -> DataConfig:
    """The data section with the source and the place that `path` looks like. Raises ConfigError when it looks like none."""
    if not path.exists():
        raise ConfigError(f"{path}: no such file or folder")
    if path.is_file():
        if path.suffix.lower() == ".npy":
            return given.model_copy(update={"source": "npy", "path": str(path)})
        if path.suffix.lower() == ".csv":
            return given.model_copy(update={"source": "csv", "path": str(path.parent), "table": path.name})
        raise ConfigError(f"{path}: neither a folder, nor .csv, nor .npy; name the folder that holds it")
    if not path.is_dir():
        raise ConfigError(f"{path}: neither a folder nor a file; name a folder of pictures, a .csv or a .npy")
    kind = "folder"
    if (path / "images.npy").exists():
        kind = "npy"
    elif any(place.name.removesuffix(".gz").endswith(arrays.IMAGES) for place in path.iterdir()):
        kind = "idx"
    elif (path / CIFAR_ARCHIVE).exists():
        kind = "cifar10"
    elif (path / given.table).is_file():
        kind = "csv"
    return given.model_copy(update={"source": kind, "path": str(path)})


def told(path: Path, chosen: DataConfig, counts: Counts, table: pd.DataFrame, shape: PreprocessConfig) -> str:
    """What was found, as lines of text."""
    classes, splits = table["class_name"].value_counts().sort_index(), table["split"].value_counts()
    sides = table[["source_width", "source_height"]]
    shown = ", ".join(f"{name or 'unlabelled'} {count}" for name, count in list(classes.items())[:LISTED])
    return "\n".join([
        f"{path}: {chosen.source}",
        f"  pictures   {counts.found} found: {counts.used} used, {counts.quarantined} quarantined; {counts.ignored} other files ignored",
        f"  classes    {len(classes)}: {shown}{', …' if len(classes) > LISTED else ''}",
        f"  sizes      {sides.min().iloc[0]} to {sides.max().iloc[0]} wide, {sides.min().iloc[1]} to {sides.max().iloc[1]} high",
        f"  modes      {', '.join(f'{mode} {count}' for mode, count in table['source_mode'].value_counts().sort_index().items())}",
        f"  the model  sees {shape.size} x {shape.size}, {'grey' if shape.channels == 1 else 'colour'}, {shape.fit}",
        f"  splits     {', '.join(f'{name} {splits.get(name, 0)}' for name in ('train', 'holdout', 'test'))}",
        f"  licence    {chosen.licence or 'none stated in params.yaml (data.licence)'}",
    ])


def obstacles(counts: Counts, verdict: dict[str, Any], table: pd.DataFrame, chosen: DataConfig, evaluate: EvaluateConfig) -> list[str]:
    """What would stop the pipeline, each with its remedy."""
    found = []
    if counts.quarantined / counts.found > chosen.max_quarantined:
        found.append(f"{counts.quarantined / counts.found:.1%} of the pictures cannot be used, over data.max_quarantined "
                     f"({chosen.max_quarantined:.1%})")
    failed = expectations.failed(verdict["results"], "critical")
    if failed:
        names = ", ".join(dict.fromkeys(result["name"] or "structure" for result in failed))
        found.append(f"{len(failed)} expectations fail ({names}); mend the data or the thresholds under `validate`")
    smallest = min((table["split"] == name).sum() for name in ("holdout", "test"))
    if evaluate.sample_size < SMALLEST_SAMPLE:
        found.append(f"evaluate.sample_size ({evaluate.sample_size}) is below {SMALLEST_SAMPLE}, which the audit's controls need")
    if smallest < evaluate.sample_size:
        found.append(f"evaluate.sample_size ({evaluate.sample_size}) is over the {smallest} pictures that the metrics would have; lower it")
    return found


def settings(chosen: DataConfig, given: DataConfig) -> str:
    """What in params.yaml must change for this source; "" where nothing must."""
    wanted = {key: value for key, value in chosen.model_dump().items() if value != getattr(given, key) and key != "split"}
    return ", ".join(f"data.{key}: {value}" for key, value in wanted.items())
