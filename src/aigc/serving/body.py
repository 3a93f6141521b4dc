"""The body of POST /generate: its fields follow from what the model can do. Errors are one line."""

import base64
import binascii
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field, ValidationError, create_model

from aigc import methods
from aigc.core import config
from aigc.core.config import Section
from aigc.core.errors import ConfigError
from aigc.model import sampling
from aigc.model.card import Card
from aigc.model.contract import Method
from aigc.provenance import drawing
from aigc.serving.orders import Order, shown


def kind_of(method: Method, card: Card, most: int) -> type[Section]:
    """The model of the body, for its parser and for OpenAPI. most: pictures of one order."""
    classes = " or ".join(card.classes) if method.translates else ", ".join(card.classes[:20])
    fields: dict[str, Any] = {
        "seed": (int, Field(0, description="picture i of a seed is always the same",
                            json_schema_extra={"minimum": 0, "maximum": drawing.MOST_SEED}))}
    if method.translates:
        fields["sources"] = (list[str], Field(description=f"files of pictures in base64, 1 to {most}: one "
                                                          "picture is made of each"))
        fields["class_"] = (str | int, Field(alias="class", description=f"to translate to: {classes}"))
    else:
        fields["n"] = (int, Field(1, description="how many pictures",
                                  json_schema_extra={"minimum": 1, "maximum": most}))
        of = f"of one class, by name or index: {classes}" if method.conditional else "this model knows none"
        fields["class_"] = (str | int | None, Field(None, alias="class", description=of))
    for name in method.sampling_settings:
        known = methods.config_class(card.method).model_fields[name]
        own = Field(description=f"the model's own: {card.config[name]}")
        fields[name] = (Annotated[known.annotation | None, *known.metadata, own], None)  # type: ignore[operator]
    made: type[Section] = create_model("Order", __base__=Section, **fields)
    return made


def parser(kind: type[Section], method: Method, card: Card, most: int) -> Callable[[bytes], Order]:
    """What turns a body into an order. It raises ConfigError, one line. most: pictures of one order."""
    known = [field.alias or name for name, field in kind.model_fields.items()]

    def parse(content: bytes) -> Order:
        try:
            asked = kind.model_validate_json(content)
        except ValidationError as error:
            raise ConfigError(_problem(error, known)) from None
        values = asked.model_dump(exclude_none=True)
        texts = values.get("sources", [])
        if method.translates and not 1 <= len(texts) <= most:
            raise ConfigError(f"sources must be 1 to {most} pictures, found {len(texts)}")
        sources = tuple(_decoded(text, index) for index, text in enumerate(texts))
        settings = {name: str(values[name]) for name in method.sampling_settings if name in values}
        return Order(len(sources) if method.translates else values["n"], values["seed"],
                     _label(method, card, values.get("class_")), settings, sources)

    return parse


def _label(method: Method, card: Card, wanted: str | int | None) -> int:
    if wanted is None:
        return sampling.UNLABELLED
    text = wanted if isinstance(wanted, str) else shown(wanted)
    try:
        return int(drawing.labels_of(method, card, 1, text)[0])
    except ConfigError as error:  # it names the option of `aigc generate`
        raise ConfigError(str(error).replace("--class", "class")) from None


def _decoded(text: str, index: int) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ConfigError(f"source {index}: not base64 ({error})") from None


def _problem(error: ValidationError, known: list[str]) -> str:
    problem = error.errors(include_url=False)[0]
    key = ".".join(map(str, problem["loc"][:1]))
    if problem["type"] == "extra_forbidden":
        return f"unknown field `{shown(key)[1:-1]}`{config.did_you_mean(key, known)}"
    if problem["type"] == "missing":
        return f"field `{key}` is missing"
    if not key:
        return f'the body must be a JSON object, such as {{"seed": 1}}: {problem["msg"]}'
    return f"{key}: {problem['msg'].removeprefix('Value error, ')}, found {shown(problem['input'])}"
