"""The sections `evaluate` and `audit` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from aigc.core.config import Count, Section, Seed, Share

SMALLEST_SAMPLE = 100  # pictures: C_T of the audit needs five cells of twenty


class EvaluateConfig(Section):
    """inception_weights: a file, or "" for the cache of torch.

    The defaults are the published settings. `aigc evaluate` uses them outside of a project.
    """

    sample_size: Annotated[int, Field(ge=40)] = 1000
    seed: Seed = 0
    precision_neighbours: Annotated[int, Field(ge=1, le=30)] = 3
    coverage_neighbours: Annotated[int, Field(ge=1, le=30)] = 5
    extractor: Literal["classifier", "inception"] = "classifier"
    inception_weights: str = ""


class AuditConfig(Section):
    classifier_images: Count
    near_duplicate: Annotated[float, Field(gt=0, lt=0.5)]
    max_near_duplicates: Share
