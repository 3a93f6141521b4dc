"""Generative methods, one page each, and the registry that finds a page by its name.

A page is a module of this package: `methods/NAME.py` defines one subclass of MethodConfig and one of
Method. To add a method: add its page, add a section of its name to params.yaml, and add the name to
`methods:`. A page is imported only when it is used. `families/` holds what several pages share.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigc.core import config, paths
from aigc.core.errors import ConfigError, DataError, StorageError

if TYPE_CHECKING:
    from aigc.core.runtime import Device
    from aigc.data.pictures import Pictures
    from aigc.model.card import Card
    from aigc.model.contract import Method, MethodConfig, Shape

FEWEST_OF_A_CLASS = 2  # pictures of a class that a method names


def available() -> list[str]:
    """The names of all methods that have a page in this folder."""
    return sorted(page.name for page in pkgutil.iter_modules(__path__) if not page.ispkg)


def method_class(name: str) -> Any:
    """The class of one method: a subclass of Method whose arguments are (config, shape).

    Raises ConfigError when there is no page of that name.
    """
    from aigc.model.contract import Method

    return _defined_on_page(name, Method)


def config_class(name: str) -> "type[MethodConfig]":
    """The class of one method's section of params.yaml.

    Raises ConfigError when there is no page of that name.
    """
    from aigc.model.contract import MethodConfig

    return _defined_on_page(name, MethodConfig)


def _defined_on_page(name: str, base: type) -> Any:
    if name not in available():
        raise ConfigError(f"{paths.PARAMS}: unknown method `{name}` under `methods`"
                          f"{config.did_you_mean(name, available())}")
    page = importlib.import_module(f"{__name__}.{name}")
    classes = [value for value in vars(page).values()
               if isinstance(value, type) and issubclass(value, base) and value.__module__ == page.__name__]
    if len(classes) != 1:
        raise ConfigError(f"{page.__file__}: must define one subclass of {base.__name__}, "
                          f"found {len(classes)}")
    return classes[0]


def summary(name: str) -> str:
    """The first paragraph of a method's page, as one line."""
    page = importlib.import_module(method_class(name).__module__)
    return " ".join((page.__doc__ or name).split("\n\n")[0].split())


def load_config(name: str, content: dict[str, Any] | None = None) -> "MethodConfig":
    """The section of params.yaml with the method's name, as that method's config class."""
    return config.section(name, config_class(name), content)


def build(name: str, settings: "MethodConfig", shape: "Shape") -> "Method":
    """A new, untrained model. torch's default generator draws the initial weights: seed it first.

    Raises ConfigError when the method needs classes and there are none.
    """
    if not shape.has_classes and needing_classes([name]):
        raise ConfigError(f"{name} needs labels of at least two classes; "
                          f"take it out of `methods` in {paths.PARAMS}")
    build_method: Callable[[MethodConfig, Shape], Method] = method_class(name)
    return build_method(settings, shape)


def needing_classes(names: Iterable[str]) -> list[str]:
    """Those of the methods that cannot be trained on pictures without classes."""
    return [name for name in names if method_class(name).needs_classes]


def learned(name: str, names: list[str] | None, split: "Pictures", place: Path) -> "Pictures":
    """Those of the pictures that the method `name` learns from. names: its `learns_from`. place: that of the
    split, for messages.

    Raises DataError where a class that the method names is not there, or has fewer than FEWEST_OF_A_CLASS.
    """
    if names is None:
        return split
    remedy = f"name classes that are there under `{name}`, or take it out of `methods` in {paths.PARAMS}"
    for wanted in names:
        if wanted not in split.classes:
            found = config.did_you_mean(wanted, split.classes) if split.classes else "; there are no classes"
            raise DataError(f"{place}: no class `{wanted}`, which {name} learns from{found}; {remedy}")
        count = int((split.labels == split.classes.index(wanted)).sum())
        if count < FEWEST_OF_A_CLASS:
            raise DataError(f"{place}: {count} picture{'s' * (count != 1)} of class `{wanted}`, {name} needs "
                            f"{FEWEST_OF_A_CLASS} or more; {remedy}")
    return split.of_classes(names)


def sampler(card: "Card", texts: Mapping[str, str]) -> dict[str, Any]:
    """The settings in `texts` that differ from the model's own, as values of the method's config.

    texts: setting -> value as text. Raises ConfigError for a setting that the method does not let be chosen
    when sampling, and for a value that cannot be.
    """
    from pydantic import ValidationError

    known = method_class(card.method).sampling_settings
    for name in texts:
        if name not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise ConfigError(f"{card.method} has no setting `{name}` that can be chosen when sampling; "
                              f"{has}")
    try:
        values = {name: type(card.config[name])(text) for name, text in texts.items()}
        config_class(card.method).model_validate(card.config | values)
    except (ValidationError, ValueError) as error:
        problem = config.first_problem(error) if isinstance(error, ValidationError) else str(error)
        raise ConfigError(f"{card.method} cannot be sampled like that: {problem}") from None
    return {name: value for name, value in values.items() if value != card.config[name]}


def load(folder: Path, device: "Device | None" = None,
         sampling: Mapping[str, str] | None = None) -> "tuple[Method, Card]":
    """The trained model in `folder`, in eval mode on `device` (default: the CPU, fp32), with its card.

    sampling: settings to replace, see `sampler`. Raises StorageError when a file is missing or changed, or
    does not fit this version of the method.
    """
    from pydantic import ValidationError

    from aigc.model.card import read_card, read_weights
    from aigc.model.contract import Shape

    card = read_card(folder)
    if card.method not in available():
        raise StorageError(f"{folder}: a model of {card.method}, a method that this version does not have; "
                           "check out the commit that made it")
    content = {**card.config, **sampler(card, sampling)} if sampling else card.config
    try:
        built = build(card.method, config_class(card.method).model_validate(content), Shape(**card.shape))
        read_weights(folder, card, built)
    except (TypeError, ValueError, RuntimeError) as error:  # of the shape, the config, and load_state_dict
        text = config.first_problem(error) if isinstance(error, ValidationError) else str(error)
        reason = " ".join(text.split())[:200]
        raise StorageError(f"{folder}: a model of another version of {card.method} ({reason}); check out the "
                           "commit that made it, or serve the model of its MLflow run, which has its own code"
                           ) from None
    return built.place_on(device) if device else built, card
