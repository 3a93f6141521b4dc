"""A training that starts from a trained model, its parent (`init_from` of a method's section in params.yaml).

The new model takes the parent's weights, those of all players. Adam's moments, the schedule, and what a
method makes anew (`Method.made_anew`) start as in any training. Rows of classes are matched by the classes'
names; a new class starts at the mean of the parent's. Source: Wang et al. 2018 (Transferring GANs), who hand
down both networks.
"""

import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from aigc import methods
from aigc.core import files, paths
from aigc.core.config import FEWEST_CLASSES
from aigc.core.errors import AigcError, ConfigError, StorageError
from aigc.model.card import CONFIG, WEIGHTS, Card, check_files, read_card
from aigc.model.contract import Method, MethodConfig, Shape
from aigc.networks.blocks import ClassEmbedding

DIGITS = 16  # of a parent's name
NAMED = 5  # classes in a message


def name_of(card: Card) -> str:
    """The name of a model as a parent: the value of `init_from`, and its folder below models/parents."""
    return card.sha256[:DIGITS]


@dataclass(frozen=True)
class Parent:
    """A trained model to start from. weights: name -> tensor."""

    card: Card
    weights: Mapping[str, Tensor]

    @classmethod
    def read(cls, name: str) -> "Parent":
        """The parent of this name. Raises StorageError where it is missing, changed, or another model."""
        folder = paths.parent(name)
        if not (folder / CONFIG).exists():
            raise StorageError(f"{folder}: missing, though `init_from` names it; `dvc pull {folder}.dvc` or "
                               f"`dvc checkout {folder}.dvc` brings it, `aigc init-from MODEL` sets another")
        card = read_card(folder)
        if name_of(card) != name:
            raise StorageError(f"{folder}: holds the model {name_of(card)}; `dvc checkout {folder}.dvc` "
                               "restores what it should hold")
        check_files(folder, card)
        return cls(card, files.read_tensors(folder / WEIGHTS)[0])

    @property
    def ancestors(self) -> list[str]:
        """Of a model that starts from this one."""
        return [self.card.sha256, *self.card.ancestors]

    def build(self, settings: MethodConfig, shape: Shape, classes: list[str]) -> Method:
        """A new model of the parent's method, with the parent's weights.

        classes: the names of the labels. Raises ConfigError, naming what differs, where they do not fit.
        """
        model = methods.build(self.card.method, settings, shape)
        if differences := self.differences(model, settings, classes):
            raise ConfigError(f"{paths.PARAMS}: {self.card.method} cannot start from the model "
                              f"{name_of(self.card)}: {'; '.join(differences)}; set it as there, or choose "
                              f"another parent (`aigc init-from`)")
        if not next(model.parameters()).is_meta:  # as the estimate of the memory builds it
            model.load_state_dict(self._inherited(model, classes))
        return model

    def differences(self, model: Method, settings: MethodConfig, classes: list[str]) -> list[str]:
        """What keeps the weights from fitting `model`, one text each; empty where they fit."""
        theirs = Shape(**self.card.shape)
        if (theirs.channels, theirs.size) != (model.shape.channels, model.shape.size):
            return [f"its pictures are {theirs.channels} x {theirs.size} x {theirs.size}, those here "
                    f"{model.shape.channels} x {model.shape.size} x {model.shape.size}"]
        if type(model).conditional and theirs.has_classes != model.shape.has_classes:
            return ["it learned classes, and the pictures here have none" if theirs.has_classes else
                    "it learned no classes, and the pictures here have some"]
        now = {key: value for key, value in settings.model_dump().items()
               if self.card.config.get(key) != value}
        found = [key for key in now if key in model.binding_settings]
        if not found and _shapes(model) != self._shapes_there(model, classes):
            found = [key for key in now if self._changes_shapes({key: now[key]})]
            found = found or [key for key in now if self._changes_shapes(now)] or ["(its code)"]
        return [f"`{self.card.method}.{key}` is {self.card.config.get(key)} there, {now.get(key)} here"
                for key in found]

    def told(self, classes: list[str]) -> str:
        """One line for people: where the training starts, and which classes are new or gone."""
        theirs = self.card.classes
        changes = [f"{word} {', '.join(some[:NAMED])}{' …' * (len(some) > NAMED)}" for word, some in
                   (("new classes:", [name for name in classes if name not in theirs]),
                    ("classes left out:", [name for name in theirs if name not in classes])) if some]
        return "; ".join([f"{self.card.method}: starts from the model {name_of(self.card)}", *changes])

    def _inherited(self, model: Method, classes: list[str]) -> dict[str, Tensor]:
        """The state of `model` with the parent's weights in it."""
        state = model.state_dict()
        rows = _class_rows(model)
        for key, own in state.items():
            if _is_made_anew(model, key):
                continue
            state[key] = (_matched(own, self.weights[key], classes, self.card.classes)
                          if key in rows else self.weights[key])
        return state

    def _shapes_there(self, model: Method, classes: list[str]) -> dict[str, tuple[int, ...]]:
        """The parent's shapes, with as many rows of classes as there are `classes`."""
        rows = _class_rows(model)
        more = len(classes) - len(self.card.classes)
        return {key: (tensor.shape[0] + more, *tensor.shape[1:]) if key in rows else tuple(tensor.shape)
                for key, tensor in self.weights.items() if not _is_made_anew(model, key)}

    def _changes_shapes(self, values: Mapping[str, Any]) -> bool:
        """Whether other values of these settings give the parent's method weights of other shapes."""
        kind, shape = methods.config_class(self.card.method), Shape(**self.card.shape)
        shapes = []
        with suppress(AigcError, ValueError, RuntimeError), torch.device("meta"):
            for changed in ({}, values):
                content = {**self.card.config, **changed}
                shapes.append(_shapes(methods.build(self.card.method, kind.model_validate(content), shape)))
        return len(shapes) < 2 or shapes[0] != shapes[1]


def start(method: str, settings: MethodConfig) -> Parent | None:
    """The parent that `settings` name, if any. Raises ConfigError where it is a model of another method."""
    if not settings.init_from:
        return None
    parent = Parent.read(settings.init_from)
    if parent.card.method != method:
        raise ConfigError(f"{paths.PARAMS}: `{method}.init_from` is a model of {parent.card.method}, not of "
                          f"{method}; set another with `aigc init-from`")
    return parent


def tell(parent: Parent, classes: list[str]) -> None:
    """Print what a training starts from."""
    print(parent.told(classes), file=sys.stderr)


def _class_rows(model: nn.Module) -> set[str]:
    """The names of the weights with a row for each class."""
    return {f"{name}.weight" for name, layer in model.named_modules() if isinstance(layer, ClassEmbedding)}


def _is_made_anew(model: Method, key: str) -> bool:
    return key.partition(".")[0] in model.made_anew


def _shapes(model: Method) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()
            if not _is_made_anew(model, key)}


def _matched(own: Tensor, theirs: Tensor, classes: list[str], known: list[str]) -> Tensor:
    """The parent's rows in the order of `classes`; of a class that it did not know, the mean of its rows.

    own (rows, width), theirs (their rows, width). Rows that belong to no class stay last.
    """
    mean = theirs[:len(known)].mean(0)
    rows = [theirs[known.index(name)] if name in known else mean for name in classes]
    joined = torch.cat([torch.stack(rows) if rows else theirs[:0], theirs[len(known):]])
    if joined.shape != own.shape:
        raise ConfigError(f"{len(own)} rows of classes here, {len(joined)} from the parent; train from the "
                          f"start: at least {FEWEST_CLASSES} classes make a label")
    return joined
