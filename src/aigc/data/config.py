"""The sections of params.yaml that concern the pictures: where they come from, the gate, their size."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from aigc.core.config import Count, Line, Section, Seed, Share


class SplitConfig(Section):
    """Shares of the pictures; what is neither holdout nor test is train."""

    seed: Seed
    holdout: Share
    test: Share

    @model_validator(mode="after")
    def _leaves_something_to_train_on(self) -> "SplitConfig":
        if self.holdout + self.test >= 1:
            raise ValueError("holdout + test must stay below 1, or nothing is left to train on")
        return self


class DataConfig(Section):
    source: Literal["digits", "fashion-mnist", "mnist", "cifar10", "idx", "folder", "csv", "npy"]
    path: Annotated[str, Field(min_length=1)]
    table: str
    path_column: str
    label_column: str
    max_quarantined: Share
    licence: Line
    attribution: Line
    url: Line
    split: SplitConfig


Judgement = Literal["rows", "classes", "imbalance", "duplicates", "near_duplicates", "conflicts", "blank",
                    "ink", "aspect", "small", "drift"]


class GateConfig(Section):
    min_rows: Count
    min_classes: Count
    min_class_share: Share
    max_duplicates: Share
    max_near_duplicates: Share
    near_duplicate_bits: Annotated[int, Field(ge=0, le=64)]
    min_std: Annotated[float, Field(ge=0, le=127.5)]
    min_ink: Share
    max_ink: Share
    max_aspect: Annotated[float, Field(ge=1)]
    min_source_side: Count
    max_drift: Annotated[float, Field(ge=0)]
    warn: list[Judgement]


def _side(size: int) -> int:
    if size % 8 and size != 28:
        raise ValueError("a side is a multiple of 8 from 16 to 512, or 28")
    return size


Size = Annotated[int, Field(ge=16, le=512), AfterValidator(_side)]


class PreprocessConfig(Section):
    size: Size
    channels: Literal[1, 3]
    fit: Literal["crop", "pad", "stretch"]
    background: Annotated[list[Annotated[int, Field(ge=0, le=255)]], Field(min_length=3, max_length=3)]
