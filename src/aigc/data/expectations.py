"""The gate: a great-expectations suite over the manifest. The one importer of great_expectations.

What has no core expectation (copies in two splits, look-alikes, agreement with the arrays, class shares,
drift) becomes a computed column that a core expectation judges. `validate.warn` names the ones that only
warn.
"""

import copy
import logging
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aigc.data import drift, similarity, splits
from aigc.data.config import GateConfig

EXAMPLES, PRINTED = 8, 3
PARTNERS = ("copy_of", "looks_like")  # columns that hold another row, which is shown beside
TYPES = {"index": "int64", "source_index": "int64", "path": "str", "label": "int64", "class_name": "str",
         "source_height": "int64", "source_width": "int64", "source_mode": "str", "aspect": "float64",
         "sha256": "str", "mean": "float64", "std": "float64", "minimum": "int64", "maximum": "int64",
         "ink_fraction": "float64", "height": "int64", "width": "int64", "mode": "str", "phash": "str",
         "split": "str"}


def computed_columns(manifest: pd.DataFrame, disagrees: np.ndarray, validate: GateConfig,
                     reference: pd.DataFrame | None = None) -> pd.DataFrame:
    """The manifest with the columns that core expectations need.

    Agreement with the arrays, splits and labels of an image, share of its class, the first row with the same
    picture and a row that looks like it (-1: none), and, with the manifest of another version of the data,
    how far each column moved.
    """
    phashes, hashes = manifest["phash"].tolist(), manifest["sha256"].tolist()
    alike = similarity.look_alikes(phashes, hashes, validate.near_duplicate_bits)
    by_image = manifest.groupby("sha256")
    first = by_image["index"].transform("first")
    return manifest.assign(
        agrees_with_arrays=~disagrees, splits_of_image=by_image["split"].transform("nunique"),
        labels_of_image=by_image["label"].transform("nunique"),
        copy_of=first.where(first != manifest["index"], -1), looks_like=alike,
        class_share=manifest.groupby("label")["label"].transform("size") / len(manifest),
        source_side=np.minimum(manifest["source_height"], manifest["source_width"]),
        **({} if reference is None else drift.between(reference, manifest)))


def suite(validate: GateConfig, classes: int, shape: tuple[int, ...],
          drifts: list[str] | None = None) -> list[Any]:
    """The expectations, thresholds filled in. shape: (C, H, W). drifts: columns of drift indices."""
    import great_expectations.expectations as gxe

    channels, height, width = shape
    labels = list(range(classes)) or [-1]
    between = gxe.ExpectColumnValuesToBeBetween

    def named(name: str) -> dict[str, Any]:
        return {"meta": {"name": name}, "severity": "warning" if name in validate.warn else "critical"}

    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=validate.min_rows, **named("rows")),
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
        between(column="std", min_value=validate.min_std, max_value=127.5, **named("blank")),
        between(column="ink_fraction", min_value=validate.min_ink, max_value=validate.max_ink,
                **named("ink")),
        between(column="aspect", min_value=1, max_value=validate.max_aspect, **named("aspect")),
        between(column="source_side", min_value=validate.min_source_side, **named("small")),
        gxe.ExpectColumnValuesToBeInSet(column="label", value_set=labels),
        gxe.ExpectColumnUniqueValueCountToBeBetween(column="label", min_value=validate.min_classes,
                                                    **named("classes")),
        between(column="class_share", min_value=validate.min_class_share, **named("imbalance")),
        gxe.ExpectColumnValuesToBeInSet(column="copy_of", value_set=[-1], mostly=1 - validate.max_duplicates,
                                        **named("duplicates")),
        gxe.ExpectColumnValuesToBeInSet(column="looks_like", value_set=[-1],
                                        mostly=1 - validate.max_near_duplicates, **named("near_duplicates")),
        between(column="labels_of_image", min_value=1, max_value=1, **named("conflicts")),
        gxe.ExpectColumnValuesToBeInSet(column="split", value_set=list(splits.NAMES)),
        between(column="splits_of_image", min_value=1, max_value=1),
        *(gxe.ExpectColumnMaxToBeBetween(column=column, max_value=validate.max_drift, **named("drift"))
          for column in drifts or []),
    ]


def judge(table: pd.DataFrame, expectations: list[Any], data_docs: Path) -> dict[str, Any]:
    """Run the suite and write Data Docs; the canonical result: no clock, no batch id, rows by `index`."""
    return verdict(Judge(data_docs).results(table, expectations), len(table))


def verdict(results: list[dict[str, Any]], rows: int) -> dict[str, Any]:
    """The canonical result of all expectations over so many rows."""
    return {"success": not failed(results, "critical"), "rows": rows, "results": results}


class Judge:
    """Runs expectations over tables; Data Docs get a page for each."""

    def __init__(self, data_docs: Path) -> None:
        os.environ["GX_ANALYTICS_ENABLED"] = "false"
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        logging.getLogger("great_expectations").setLevel(logging.ERROR)
        warnings.filterwarnings("ignore", module="great_expectations")
        self.context = gx.get_context(mode="ephemeral")
        self.context.variables.progress_bars = ProgressBarsConfig(globally=False)
        self.context.add_data_docs_site("local", {
            "class_name": "SiteBuilder", "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            "store_backend": {"class_name": "TupleFilesystemStoreBackend",
                              "base_directory": str(data_docs.resolve())},
        })
        self.asset = self.context.data_sources.add_pandas("pipeline").add_dataframe_asset("manifest")

    def results(self, table: pd.DataFrame, expectations: list[Any], name: str = "manifest",
                lists_all: bool = True) -> list[dict[str, Any]]:
        """The canonical results, in the order of the expectations. name: of the page, each its own.

        lists_all: whether the page lists all rows that do not hold, or the first.
        """
        import great_expectations as gx

        batch = self.asset.add_batch_definition_whole_dataframe("whole" if name == "manifest" else name)
        named = self.context.suites.add(gx.ExpectationSuite(
            name=name, expectations=[copy.copy(expectation) for expectation in expectations]))
        definition = self.context.validation_definitions.add(
            gx.ValidationDefinition(name=name, data=batch, suite=named))
        checkpoint = self.context.checkpoints.add(gx.Checkpoint(
            name="gate" if name == "manifest" else name, validation_definitions=[definition],
            actions=[gx.checkpoint.UpdateDataDocsAction(name="docs", site_names=["local"])],
            result_format={"result_format": "COMPLETE" if lists_all else "SUMMARY",
                           "unexpected_index_column_names": ["index"]}))
        outcome = checkpoint.run(batch_parameters={"dataframe": table})
        found = next(iter(outcome.run_results.values())).to_json_dict()
        return [_canonical(result, table) for result in found["results"]]


def of_the_whole(expectation: Any) -> bool:
    """Whether it is about all rows together: a count, a share, a greatest value. Others hold row by row."""
    kind, column = type(expectation).__name__, getattr(expectation, "column", None)
    return column in PARTNERS or not ("ColumnValues" in kind or "ToExist" in kind)


def by_column(results: list[dict[str, Any]], expectations: list[Any]) -> list[dict[str, Any]]:
    """Results in the order of great-expectations: by column, columns in the order of the expectations."""
    columns = [None, *(getattr(expectation, "column", None) for expectation in expectations)]
    return sorted(results, key=lambda result: columns.index(result["column"]))


def joined(earlier: list[dict[str, Any]], later: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The results of row by row expectations over two parts of a table, as over both together."""
    return [{**first, "success": first["success"] and second["success"],
             "unexpected_count": first["unexpected_count"] + second["unexpected_count"],
             "example_rows": (first["example_rows"] + second["example_rows"])[:EXAMPLES]}
            for first, second in zip(earlier, later, strict=True)] if earlier else later


def failed(results: list[dict[str, Any]], severity: str) -> list[dict[str, Any]]:
    """The results that do not hold, of one severity: "critical" stops the pipeline, "warning" does not."""
    return [result for result in results if not result["success"] and result["severity"] == severity]


def _canonical(result: dict[str, Any], table: pd.DataFrame) -> dict[str, Any]:
    about = result["expectation_config"]
    kwargs = {key: value for key, value in about["kwargs"].items() if key != "batch_id"}
    found = result.get("result", {})
    listed = found.get("unexpected_index_list") or found.get("partial_unexpected_index_list") or []
    rows = [row["index"] for row in listed if "index" in row]
    column, examples = kwargs.pop("column", None), sorted(rows)[:EXAMPLES]
    return {"expectation": about["type"], "name": (about.get("meta") or {}).get("name", ""),
            "severity": about.get("severity") or "critical", "column": column, "kwargs": kwargs,
            "success": bool(result["success"]), "unexpected_count": int(found.get("unexpected_count") or 0),
            "observed": found.get("observed_value"), "example_rows": examples,
            "partners": table[column].to_numpy()[examples].tolist() if column in PARTNERS else []}


def failures_table(verdict: dict[str, Any], table: pd.DataFrame) -> str:
    """What does not hold, how many rows, three example rows: text for a terminal. Failures first."""
    lines = []
    for result in (*failed(verdict["results"], "critical"), *failed(verdict["results"], "warning")):
        limits = ", ".join(f"{key}={value}" for key, value in sorted(result["kwargs"].items()))
        about = f"{result['expectation']}({result['column'] or 'table'}; {limits})"
        rows, observed = f"{result['unexpected_count']} rows", f"observed {result['observed']}"
        level = "FAILED " if result["severity"] == "critical" else "WARNING"
        lines.append(f"  {level}  {result['name'] or 'structure'}: {about}: "
                     f"{rows if result['example_rows'] else observed}")
        columns = dict.fromkeys(["index", "path", "class_name", "split", "sha256", result["column"]])
        for row in result["example_rows"][:PRINTED]:
            values = table.loc[table["index"] == row].iloc[0]
            parts = [f"{column}={str(values[column])[:40 if column == 'path' else 16]}" for column in columns
                     if column in table and str(values[column])]
            lines.append(f"             {'  '.join(parts)}")
    return "\n".join(lines)
