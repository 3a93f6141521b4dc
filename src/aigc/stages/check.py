"""check: the whole of params.yaml is understood before anything runs. Narrow params alone would let a misspelt key pass."""

from typing import Any

from aigc import methods
from aigc.core import config, files, paths
from aigc.core.config import Section
from aigc.core.errors import ConfigError
from aigc.core.runtime import RuntimeConfig
from aigc.data.config import DataConfig, GateConfig, PreprocessConfig
from aigc.evaluation.config import SMALLEST_SAMPLE, AuditConfig, EvaluateConfig
from aigc.features.classifier import EvaluatorConfig
from aigc.model.sampling import GenerateConfig
from aigc.training.config import TrainConfig

SECTIONS: dict[str, type[Section]] = {
    "runtime": RuntimeConfig, "data": DataConfig, "validate": GateConfig, "preprocess": PreprocessConfig,
    "evaluator": EvaluatorConfig, "train": TrainConfig, "generate": GenerateConfig, "evaluate": EvaluateConfig,
    "audit": AuditConfig,
}


def run() -> None:
    """Its out is constant, so that editing a comment re-runs nothing else."""
    check(config.read())
    files.write_json(paths.CHECKED, {"params": "understood"})


def check(content: dict[str, Any]) -> None:
    """Raises ConfigError, naming the key, where params.yaml holds an unknown key, a bad value or a contradiction."""
    pages, chosen = methods.available(), config.methods(content)
    for name in chosen:
        if name not in pages:
            raise ConfigError(f"{paths.PARAMS}: unknown method `{name}` under `methods`{config.did_you_mean(name, pages)}")
        if name not in content:
            raise ConfigError(f"{paths.PARAMS}: section `{name}` is missing, though `methods` names it")
    for name in content:
        if name in pages:
            methods.load_config(name, content)
        elif name not in SECTIONS and name not in config.UNPARSED:
            raise ConfigError(f"{paths.PARAMS}: unknown key `{name}`"
                              f"{config.did_you_mean(name, [*SECTIONS, *pages, *config.UNPARSED])}")
    for name, kind in SECTIONS.items():
        config.section(name, kind, content)
    check_shared(content, [name for name in pages if name in content])
    size, count = content["evaluate"]["sample_size"], content["generate"]["count"]
    if count < size:
        raise ConfigError(f"{paths.PARAMS}: generate.count ({count}) is smaller than evaluate.sample_size ({size})")
    if size < SMALLEST_SAMPLE:
        raise ConfigError(f"{paths.PARAMS}: evaluate.sample_size ({size}) is below {SMALLEST_SAMPLE}, which the audit's "
                          "controls need")


def check_shared(content: dict[str, Any], sections: list[str]) -> None:
    """Raises ConfigError where a value under `shared` has no effect.

    `dvc exp run -S shared.BLOCK.KEY=…` writes the old value into every method, which would hide the new one in silence.
    """
    for block, values in (content.get(config.SHARED) or {}).items():
        users = [name for name in sections if isinstance(values, dict) and values.keys() <= content[name].keys()]
        if not users:
            raise ConfigError(f"{paths.PARAMS}: no method merges the block `{config.SHARED}.{block}`; remove it")
        for key, value in values.items():
            if all(content[name][key] != value for name in users):
                raise ConfigError(f"{paths.PARAMS}: `{config.SHARED}.{block}.{key}` has no effect, since each method that "
                                  f"shares it states its own; set it there, such as `-S {users[0]}.{key}={value}`")
