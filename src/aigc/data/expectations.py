"""The gate: a great-expectations suite over the manifest. The one importer of great_expectations.

What has no core expectation (copies in two splits, agreement with the arrays, class shares) becomes a computed column
that a core expectation judges.
"""

import logging
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aigc.core import config
from aigc.data import splits

EXAMPLES = 3
TYPES = {
    "index": "int64", "source_index": "int64", "label": "int64", "sha256": "str", "mean": "float64", "std": "float64",
    "minimum": "int64", "maximum": "int64", "ink_fraction": "float64", "height": "int64", "width": "int64", "mode": "str",
    "split": "str",
}


def computed_columns(manifest: pd.DataFrame, disagrees: np.ndarray) -> pd.DataFrame:
    """The manifest with the columns that core expectations need: agreement, splits of an image, share of a class."""
    share = manifest.groupby("label")["label"].transform("size") / len(manifest)
    places = manifest.groupby("sha256")["split"].transform("nunique")
    return manifest.assign(agrees_with_arrays=~disagrees, splits_of_image=places, class_share=share)


def suite(chosen: config.Validate, classes: int, shape: tuple[int, ...]) -> list[Any]:
    """The expectations, thresholds filled in. shape: (C, H, W) of the arrays."""
    import great_expectations.expectations as gxe

    channels, height, width = shape
    labels = list(range(classes)) or [-1]
    between = gxe.ExpectColumnValuesToBeBetween
    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=chosen.min_rows),
        *(gxe.ExpectColumnToExist(column=column) for column in TYPES),
        *(gxe.ExpectColumnValuesToBeOfType(column=column, type_=kind) for column, kind in TYPES.items()),
        *(gxe.ExpectColumnValuesToNotBeNull(column=column) for column in TYPES),
        gxe.ExpectColumnValuesToBeInSet(column="agrees_with_arrays", value_set=[True]),
        between(column="height", min_value=height, max_value=height),
        between(column="width", min_value=width, max_value=width),
        gxe.ExpectColumnValuesToBeInSet(column="mode", value_set=["L" if channels == 1 else "RGB"]),
        between(column="minimum", min_value=0, max_value=255),
        between(column="maximum", min_value=0, max_value=255),
        between(column="mean", min_value=0, max_value=255),
        between(column="std", min_value=chosen.min_std, max_value=127.5),
        between(column="ink_fraction", min_value=chosen.min_ink, max_value=chosen.max_ink),
        gxe.ExpectColumnValuesToBeInSet(column="label", value_set=labels),
        gxe.ExpectColumnUniqueValueCountToBeBetween(column="label", min_value=chosen.min_classes),
        between(column="class_share", min_value=chosen.min_class_share),
        gxe.ExpectColumnProportionOfUniqueValuesToBeBetween(column="sha256", min_value=1 - chosen.max_duplicates),
        gxe.ExpectColumnValuesToBeInSet(column="split", value_set=list(splits.NAMES)),
        between(column="splits_of_image", min_value=1, max_value=1),
    ]


def judge(table: pd.DataFrame, expectations: list[Any], data_docs: Path) -> dict[str, Any]:
    """Run the suite and write Data Docs; the canonical result: no clock, no batch id, rows by `index`."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="great_expectations")
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    context.add_data_docs_site("local", {
        "class_name": "SiteBuilder", "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(data_docs.resolve())},
    })
    batch = (context.data_sources.add_pandas("pipeline").add_dataframe_asset("manifest")
             .add_batch_definition_whole_dataframe("whole"))
    named = context.suites.add(gx.ExpectationSuite(name="manifest", expectations=expectations))
    definition = context.validation_definitions.add(gx.ValidationDefinition(name="manifest", data=batch, suite=named))
    checkpoint = context.checkpoints.add(gx.Checkpoint(
        name="gate", validation_definitions=[definition],
        actions=[gx.checkpoint.UpdateDataDocsAction(name="docs", site_names=["local"])],
        result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["index"]}))
    outcome = checkpoint.run(batch_parameters={"dataframe": table})
    verdict = next(iter(outcome.run_results.values())).to_json_dict()
    results = [_canonical(result) for result in verdict["results"]]
    return {"success": bool(verdict["success"]), "rows": len(table), "results": results}


def _canonical(result: dict[str, Any]) -> dict[str, Any]:
    about = result["expectation_config"]
    kwargs = {key: value for key, value in about["kwargs"].items() if key != "batch_id"}
    found = result.get("result", {})
    rows = [row["index"] for row in found.get("unexpected_index_list") or [] if "index" in row]
    return {
        "expectation": about["type"],
        "column": kwargs.pop("column", None),
        "kwargs": kwargs,
        "success": bool(result["success"]),
        "unexpected_count": int(found.get("unexpected_count") or 0),
        "observed": found.get("observed_value"),
        "example_rows": sorted(rows)[:EXAMPLES],
    }


def failures_table(verdict: dict[str, Any], table: pd.DataFrame) -> str:
    """What failed, how many rows, three example rows: text for a terminal."""
    lines = []
    for result in (result for result in verdict["results"] if not result["success"]):
        limits = ", ".join(f"{key}={value}" for key, value in sorted(result["kwargs"].items()))
        about = f"{result['expectation']}({result['column'] or 'table'}; {limits})"
        seen = f"{result['unexpected_count']} rows" if result["example_rows"] else f"observed {result['observed']}"
        lines.append(f"  FAILED  {about}: {seen}")
        columns = dict.fromkeys(["index", "label", "split", "sha256", result["column"]])
        for row in result["example_rows"]:
            values = table.loc[table["index"] == row].iloc[0]
            lines.append("            " + "  ".join(f"{column}={str(values[column])[:16]}" for column in columns
                                                    if column in table))
    return "\n".join(lines)
