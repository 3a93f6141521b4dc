"""The section `train` of params.yaml: the settings of all trainings.

The number of processes is none of them, since it changes no byte: it is in the environment.
"""

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from aigc.core import paths
from aigc.core.config import Count, Section, Seed
from aigc.core.errors import ConfigError
from aigc.core.sharing import DEVICES

MOST_SHARDS = 1024


class TrainConfig(Section):
    seed: Seed
    intervals: Count
    checkpoints: Count
    balanced: bool = False
    mirror: bool = False
    shift: Annotated[int, Field(ge=0)] = 0
    crop: Annotated[float, Field(gt=0, le=1)] = 1.0
    shards: Annotated[int, Field(gt=0, le=MOST_SHARDS)] = 1
    watch: bool = True  # no out depends on it

    @field_validator("shards")
    @classmethod
    def _shards_are_summed_in_pairs(cls, shards: int) -> int:
        if shards & (shards - 1):
            raise ValueError("must be a power of two: 1, 2, 4, 8, ...")
        return shards

    @model_validator(mode="after")
    def _checkpoints_fall_on_intervals(self) -> "TrainConfig":
        if self.intervals % self.checkpoints:
            raise ValueError(f"intervals ({self.intervals}) must be a multiple of checkpoints "
                             f"({self.checkpoints})")
        return self

    def check_batch_size(self, method: str, batch_size: int) -> None:
        """Raises ConfigError unless a batch of `method` can be cut into `shards` equal parts."""
        if batch_size % self.shards:
            raise ConfigError(f"{paths.PARAMS}: `train.shards` ({self.shards}) must divide "
                              f"`{method}.batch_size` ({batch_size})")

    def check_processes(self, processes: int) -> None:
        """Raises ConfigError unless each process gets as many shards as any other."""
        if self.shards % processes:
            raise ConfigError(f"{processes} processes must divide `train.shards` in {paths.PARAMS} "
                              f"({self.shards}); set {DEVICES} (or --devices), or the shards, which are part "
                              "of the result")
