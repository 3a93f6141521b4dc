"""The names of the feature extractors: the pipeline's own, and the networks of features/published.py."""

from typing import Literal

ExtractorName = Literal["classifier", "inception", "dinov2-vit-s-14", "dinov2-vit-b-14", "dinov2-vit-l-14",
                        "clip-vit-b-32", "clip-vit-b-16", "clip-vit-l-14"]
