"""What every training's recipe has in common, the ranges of its values, and recipes with values changed by a user."""

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from monitor.errors import UserError

Count = Annotated[int, Meta(ge=1)]
Whole = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Below1 = Annotated[float, Meta(ge=0.0, lt=1.0)]
Amount = Annotated[float, Meta(ge=0.0)]
Rate = Annotated[float, Meta(gt=0.0, le=1.0)]
Positive = Annotated[float, Meta(gt=0.0)]


class Common(msgspec.Struct, frozen=True, kw_only=True):
    """Of a recipe: everything that a training depends on besides the data; stored with the weights."""

    seed: Whole = 0
    rate: Rate = 3e-3
    """Largest learning rate of AdamW."""
    decay: Amount = 1e-2
    """Weight decay of AdamW."""


_R = TypeVar("_R", bound=Common)


def changed(kind: type[_R], words: Sequence[str]) -> _R:
    """The recipe with NAME=VALUE, VALUE as JSON has it, for each of ``words``.

    Raises:
        UserError: no such name, no value, or one that cannot be.
    """
    values: dict[str, Any] = {}
    for word in words:
        name, _, text = word.partition("=")
        if name not in kind.__struct_fields__:
            raise UserError(f"--set {word}: the recipe has {', '.join(kind.__struct_fields__)}")
        try:
            values[name] = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise UserError(f"--set {word}: {text or 'nothing'} is no number") from error
        try:
            msgspec.convert({name: values[name]}, kind)
        except msgspec.ValidationError as error:
            raise UserError(f"--set {word}: {str(error).partition(' - at ')[0]}") from error
    return msgspec.convert(values, kind)
