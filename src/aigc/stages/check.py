"""check: the whole of params.yaml is understood, before anything runs. Narrow params alone would let a misspelt key pass."""

from aigc.core import config, files, paths
from aigc.core.errors import ConfigError
from aigc.methods import contract


def run() -> None:
    """Its out is constant, so that editing a comment re-runs nothing else."""
    content = config.read()
    pages = contract.available()
    for name in config.methods(content):
        if name not in pages:
            raise ConfigError(f"{paths.PARAMS}: unknown method `{name}` under `methods`{config.did_you_mean(name, pages)}")
        if name not in content:
            raise ConfigError(f"{paths.PARAMS}: section `{name}` is missing, though `methods` names it")
    for name in content:
        if name in config.SECTIONS:
            config.section(name, config.SECTIONS[name], content)
        elif name in pages:
            contract.load_config(name, content)
        elif name != "methods":
            raise ConfigError(f"{paths.PARAMS}: unknown key `{name}`"
                              f"{config.did_you_mean(name, [*config.SECTIONS, *pages, 'methods'])}")
    for name in config.SECTIONS:
        config.section(name, config.SECTIONS[name], content)
    size, count = content["evaluate"]["sample_size"], content["generate"]["count"]
    if count < size:
        raise ConfigError(f"{paths.PARAMS}: generate.count ({count}) is smaller than evaluate.sample_size ({size})")
    if size < config.SMALLEST_SAMPLE:
        raise ConfigError(f"{paths.PARAMS}: evaluate.sample_size ({size}) is below {config.SMALLEST_SAMPLE}, which the audit's controls need")
    files.write_json(paths.CHECKED, {"params": "understood"})
