"""The whole of params.yaml: its sections, and the check that each key is known, valid and has an effect."""

from typing import Any

from aigc import methods
from aigc.core import config, paths
from aigc.core.config import Section
from aigc.core.errors import ConfigError
from aigc.core.runtime import RuntimeConfig
from aigc.data.config import DataConfig, GateConfig, PreprocessConfig
from aigc.evaluation.config import SMALLEST_SAMPLE, AuditConfig, EvaluateConfig
from aigc.features.evaluator import EvaluatorConfig
from aigc.labelling import LabelConfig
from aigc.model.sampling import GenerateConfig
from aigc.training.config import TrainConfig

# Besides these, each method has a section.
SECTIONS: dict[str, type[Section]] = {"runtime": RuntimeConfig, "data": DataConfig, "validate": GateConfig,
                                      "preprocess": PreprocessConfig, "evaluator": EvaluatorConfig,
                                      "train": TrainConfig, "generate": GenerateConfig,
                                      "evaluate": EvaluateConfig, "audit": AuditConfig,
                                      "label": LabelConfig}


def check(content: dict[str, Any]) -> None:
    """Raises ConfigError, naming the key, if params.yaml has an unknown key, a bad value or a contradiction.
    """
    available = methods.available()
    for name in config.methods(content):
        if name not in available:
            raise ConfigError(f"{paths.PARAMS}: unknown method `{name}` under `methods`"
                              f"{config.did_you_mean(name, available)}")
        if name not in content:
            raise ConfigError(f"{paths.PARAMS}: section `{name}` is missing, though `methods` names it")
    for name in content:
        if name in available:
            methods.load_config(name, content)
        elif name not in SECTIONS and name not in config.UNPARSED:
            raise ConfigError(f"{paths.PARAMS}: unknown key `{name}`"
                              f"{config.did_you_mean(name, [*SECTIONS, *available, *config.UNPARSED])}")
    for name, kind in SECTIONS.items():
        config.section(name, kind, content)
    train = config.section("train", TrainConfig, content)
    for name in config.methods(content):
        train.check_batch_size(name, methods.load_config(name, content).batch_size)
    check_shared(content, [name for name in available if name in content])
    size, count = content["evaluate"]["sample_size"], content["generate"]["count"]
    if count < size:
        raise ConfigError(f"{paths.PARAMS}: generate.count ({count}) is smaller than "
                          f"evaluate.sample_size ({size})")
    if size < SMALLEST_SAMPLE:
        raise ConfigError(f"{paths.PARAMS}: evaluate.sample_size ({size}) is below {SMALLEST_SAMPLE}, which "
                          "the audit's controls need")


def check_shared(content: dict[str, Any], sections: list[str]) -> None:
    """Raises ConfigError if a value under `shared` has no effect.

    `dvc exp run -S shared.BLOCK.KEY=…` writes the old value into every method, so the new one would be
    ignored silently.
    """
    for block, values in (content.get(config.SHARED) or {}).items():
        users = [name for name in sections if isinstance(values, dict)
                 and values.keys() <= content[name].keys()]
        if not users:
            raise ConfigError(f"{paths.PARAMS}: no method merges `{config.SHARED}.{block}`; remove it")
        for key, value in values.items():
            if all(content[name][key] != value for name in users):
                raise ConfigError(f"{paths.PARAMS}: `{config.SHARED}.{block}.{key}` has no effect, because "
                                  "each method that shares it has its own value; set it there, such as "
                                  f"`-S {users[0]}.{key}={value}`")
