"""The sections `evaluate` and `audit` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from aigc.core.config import Count, Section, Seed, Share

SMALLEST_SAMPLE = 100  # pictures: five cells of twenty, by which C_T tells the audit's controls apart


class EvaluateConfig(Section):
    """neighbours: k of the balls; inception_weights: the file, or "" for torch's own cache.

    The defaults are the published settings, which `aigc evaluate` uses outside of a project.
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
