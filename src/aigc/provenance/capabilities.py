"""Whether a method can do what is asked, and which methods of the project can."""

from aigc import methods
from aigc.core.errors import ConfigError

VERBS = {"interpolates": "interpolate", "encodes": "interpolate between given pictures",
         "reconstructs": "reconstruct pictures", "translates": "translate pictures"}


def insist(method: str, capability: str) -> None:
    """Raises ConfigError, naming the methods that have the capability, where `method` has it not."""
    if getattr(methods.method_class(method), capability):
        return
    able = [name for name in methods.available() if getattr(methods.method_class(name), capability)]
    do = "do" if len(able) > 1 else "does"
    raise ConfigError(f"{method} does not {VERBS[capability]}; {', '.join(able)} {do}")
