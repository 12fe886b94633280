"""Picks, interactions and impressions, declared once for Python, JSON, HTTP and the store, with the types of fields.

Over HTTP, ids and names have limits. In Python, where the context of a validation is `IN_PROCESS`, an id is any single
value and a name any text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from functools import partial
from numbers import Real
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from firstday.config import SHOWN
from firstday.data.events import ITEM
from firstday.tables.rules import NO_IDS

ID_LENGTH = 128
"""Maximum characters of an id over HTTP."""
MAX_INTEGER = 2**53 - 1
"""Largest integer that every JSON parser reads exactly; over HTTP, larger ids must be text."""
BAD_CHARACTERS = r"\x00-\x1F\x7F-\x9F\uFFFD"
"""Control characters, and the replacement character of invalid UTF-8."""
IN_PROCESS = "in_process"
"""Context of validations of values from Python and the command line."""
FORM = ConfigDict(extra="forbid", allow_inf_nan=False)
"""Pydantic configuration of dataclasses that callers send as objects."""


def as_whole(value: Any) -> Any:
    """Convert a number without decimals, such as 81.0 or one of NumPy, to an integer; JSON Schema counts both."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    return int(value) if is_number and value % 1 == 0 else value


def as_text(value: Any) -> Any:
    """Convert an integer to text: 81 and "81" are the same id."""
    value = as_whole(value)
    return str(value) if type(value) is int else value


def integer_as_text(value: Any) -> Any:
    """Convert an integer to text, unless it is too large for JSON."""
    return value if isinstance(value, int | float) and abs(value) > MAX_INTEGER else as_text(value)


def limit_unless_in_process(parse: Callable[[Any], Any]) -> WrapValidator:
    """Return a validator that replaces all others of a type by `parse` if the context is `IN_PROCESS`."""

    def validate(value: Any, limit: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        return parse(value) if info.context == IN_PROCESS else limit(value)

    return WrapValidator(validate)


def check_single(value: Any) -> Any:
    """Return an id or a profile value; refuse None and collections."""
    if value is None or isinstance(value, Mapping | list | tuple):
        raise ValueError("give one value")
    return value


def _check_id(text: str) -> str:
    if not text.strip() or text in NO_IDS:
        raise ValueError(f"give the id; blanks, {', '.join(NO_IDS)} stand for a missing one")
    return text


REAL_ID = AfterValidator(_check_id)
"""Refuses what a program writes in place of an id that it does not have."""
NOT_AN_ID = Field(json_schema_extra={"not": {"anyOf": [{"enum": [*NO_IDS]}, {"type": "string", "pattern": r"^\s+$"}]}})
"""The same in JSON Schema."""
Integer = Annotated[int, Field(ge=-MAX_INTEGER, le=MAX_INTEGER)]
Text = Annotated[str, Field(min_length=1, max_length=ID_LENGTH, pattern=rf"^[^{BAD_CHARACTERS}]+$")]
IdText = Annotated[Text, REAL_ID, NOT_AN_ID]
Id = Annotated[
    IdText,
    BeforeValidator(integer_as_text, json_schema_input_type=IdText | Integer),
    limit_unless_in_process(check_single),
]
ProfileText = Annotated[
    Text,
    BeforeValidator(integer_as_text, json_schema_input_type=Text | Integer),
    limit_unless_in_process(check_single),
]
EntityId = Annotated[Id, Field(description="Your id of an item, or of a member of another entity.")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.\-]{0,63}$"), limit_unless_in_process(str)]
Position = Annotated[int, Field(strict=True, ge=1, le=100_000), BeforeValidator(as_whole)]
Signal = Annotated[
    Name,
    Field(
        description="Signal: stream, favorite, skip, ban, search, ...; or shown for an impression, which never counts "
        "as use."
    ),
]
Target = Annotated[Name, Field(description="item, or another entity of the model, such as artist.")]
ListId = Annotated[
    Id | None,
    Field(
        description="List id: that of the service if it recorded the list, otherwise your own. It is not checked: one "
        "that names no recorded list counts as your own."
    ),
]
ListPosition = Annotated[
    Position | None,
    Field(description="Position of the item in the list, from 1. Omit it if the user certainly saw the item."),
]
Propensity = Annotated[
    Annotated[float, Field(gt=0, le=1)] | None,
    Field(
        description="Probability that the policy shows the item at this position. Defaults to the value in the "
        "recorded list, if any. Does not affect lists."
    ),
]
Policy = Annotated[
    Name | None,
    Field(
        description="Policy that made the list. Defaults to the policy of the recorded list, if any. Does not affect "
        "lists."
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """An item or entity member that a user chose during registration."""

    __pydantic_config__ = FORM

    entity: Target = ITEM
    entity_id: EntityId


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """A user action."""

    __pydantic_config__ = FORM

    signal: Signal = "stream"
    entity: Target = ITEM
    entity_id: EntityId

    @property
    def is_impression(self) -> bool:
        """Whether this is an item impression, which never counts as use."""
        return self.signal == SHOWN and self.entity == ITEM


@dataclass(frozen=True, slots=True)
class Impression:
    """An item shown to the user, in a list or, without `list_id`, on its own."""

    __pydantic_config__ = ConfigDict(**FORM, revalidate_instances="always")

    item_id: EntityId
    position: ListPosition = None
    list_id: ListId = None
    propensity: Propensity = None
    policy: Policy = None
    visit: Annotated[
        Annotated[Integer, Field(strict=True)] | None,
        Field(description="Number of the visit: an item counts once per visit."),
    ] = None


def _as_object(names: Sequence[str], value: Any) -> Any:
    """Convert a list of all named fields, in order, to the equivalent object."""
    if is_dataclass(value):
        return value
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list | tuple) and len(value) == len(names):
        return dict(zip(names, value, strict=True))
    raise ValueError(f"give [{', '.join(names)}], or an object with these fields")


def _as_impression(value: Any) -> Any:
    """Convert an item id, or [id, position], to the equivalent object."""
    is_id = not (is_dataclass(value) or isinstance(value, list | tuple | Mapping))
    return {"item_id": value} if is_id else _as_object(("item_id", "position"), value)


AnyPick = Annotated[
    Pick,
    BeforeValidator(partial(_as_object, ("entity", "entity_id")), json_schema_input_type=tuple[Name, EntityId] | Pick),
]
AnyInteraction = Annotated[
    Interaction,
    BeforeValidator(
        partial(_as_object, ("signal", "entity", "entity_id")),
        json_schema_input_type=tuple[Name, Name, EntityId] | Interaction,
    ),
]
AnyImpression = Annotated[
    Impression,
    BeforeValidator(_as_impression, json_schema_input_type=EntityId | tuple[EntityId, Position | None] | Impression),
]
"""A pick, an interaction and an impression in any form: an object, a list of fields, or, of an impression, an id."""
