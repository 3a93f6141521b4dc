"""The section `train` of params.yaml: the settings of all trainings."""

from typing import Annotated

from pydantic import Field, model_validator

from aigc.core.config import Count, Section, Seed


class TrainConfig(Section):
    seed: Seed
    intervals: Count
    checkpoints: Count
    balanced: bool = False
    mirror: bool = False
    shift: Annotated[int, Field(ge=0)] = 0
    crop: Annotated[float, Field(gt=0, le=1)] = 1.0
    watch: bool = True  # no out depends on it

    @model_validator(mode="after")
    def _checkpoints_fall_on_intervals(self) -> "TrainConfig":
        if self.intervals % self.checkpoints:
            raise ValueError(f"intervals ({self.intervals}) must be a multiple of checkpoints "
                             f"({self.checkpoints})")
        return self
