"""The sections `evaluate` and `audit` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from aigc.core.config import Count, Section, Seed, Share
from aigc.features.names import ExtractorName

SMALLEST_SAMPLE = 100  # pictures: C_T of the audit needs five cells of twenty


class EvaluateConfig(Section):
    """extractor_weights: the file of a published network, or "" for the cache of torch.
    protocol: whether the published protocol's FID is measured too (see evaluation/published_protocol.py).

    The defaults are the published settings. `aigc evaluate` uses them outside of a project.
    """

    sample_size: Annotated[int, Field(ge=40)] = 1000
    seed: Seed = 0
    precision_neighbours: Annotated[int, Field(ge=1, le=30)] = 3
    coverage_neighbours: Annotated[int, Field(ge=1, le=30)] = 5
    extractor: ExtractorName = "classifier"
    extractor_weights: str = ""
    protocol: Literal["holdout-test", "published"] = "holdout-test"


class AuditConfig(Section):
    """survey: the number of training pictures above which the audit is one (metrics.memorization.Survey)."""

    survey: Annotated[int, Field(ge=1000, exclude=True)]  # what was surveyed stands with the numbers
    classifier_images: Count
    near_duplicate: Annotated[float, Field(gt=0, lt=0.5)]
    max_near_duplicates: Share
