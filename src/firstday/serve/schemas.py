"""What requests may hold. Unknown fields are refused, and everything has a longest length."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, field_validator

from firstday.config import RecommendConfig
from firstday.features.signals import Signals
from firstday.recommend.answered import PICK_SIGNAL
from firstday.recommend.strategies import STRATEGIES
from firstday.serve.store import Event, Profile

MAX_EVENTS = 1000
MAX_INTERACTIONS = 1000
MAX_PICKS = 100
MAX_FRIENDS = 1000
MAX_COLUMNS = 50
MAX_K = 1000
ID_LENGTH = 128
NAME_LENGTH = 64

_BAD = r"\x00-\x1F\x7F-\x9F\uFFFD"  # control characters, and what stands where something was not UTF-8
_ID = rf"^[^{_BAD}]+$"
_USER_ID = rf"^[^{_BAD}/]*[^{_BAD}/.][^{_BAD}/]*$"  # something but a dot, so that it can be part of a path
_NAME = r"^[A-Za-z_][A-Za-z0-9_.\-]{0,63}$"
_RESERVED = ("age", "friends", "interactions", "user_id", "self")
_YEARS = r"^(197[1-9]|19[89][0-9]|20[0-9][0-9])-"
_EPOCH, _FAR = datetime(1970, 1, 1, tzinfo=UTC), datetime(2101, 1, 1, tzinfo=UTC)
_LARGEST = 2**53 - 1
"""The largest whole number that every JSON parser reads exactly; larger ids must come as text."""


def _whole_number(value: Any) -> Any:
    """Read 81.0 as 81, which JSON Schema calls a whole number too; leave anything else."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _text_of_whole_number(value: Any) -> Any:
    """Write a whole number as text: 81 and "81" are the same id."""
    value = _whole_number(value)
    is_whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST
    return str(value) if is_whole else value


def _as_text(pattern: str, **more: Any) -> WithJsonSchema:
    """Return the schema of a text, or of a whole number that stands for its text."""
    text = {"type": "string", "minLength": 1, "maxLength": ID_LENGTH, "pattern": pattern}
    whole = {"type": "integer", "minimum": -_LARGEST, "maximum": _LARGEST}
    return WithJsonSchema({"anyOf": [text, whole], **more})


UserIdText = Annotated[str, Field(min_length=1, max_length=ID_LENGTH, pattern=_USER_ID)]
IdText = Annotated[str, Field(min_length=1, max_length=ID_LENGTH, pattern=_ID)]
UserId = Annotated[
    UserIdText,
    BeforeValidator(_text_of_whole_number),
    _as_text(_USER_ID, description="The caller's id of a user: no slash, no control characters, not dots alone."),
]
EventId = Annotated[
    IdText,
    BeforeValidator(_text_of_whole_number),
    _as_text(_ID, description="The caller's id of an event, unique for its user."),
]
EntityId = Annotated[
    IdText,
    BeforeValidator(_text_of_whole_number),
    _as_text(_ID, description="The caller's id of an item, or of a member of another entity."),
]
ColumnValue = Annotated[IdText, BeforeValidator(_text_of_whole_number), _as_text(_ID)]
Name = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH, pattern=_NAME)]
Age = Annotated[int, Field(ge=0, le=120), BeforeValidator(_whole_number)]
Length = Annotated[int, Field(ge=1, le=MAX_K), BeforeValidator(_whole_number)]

StrategyName = StrEnum("StrategyName", {name: name for name in STRATEGIES})  # type: ignore[misc]
"""Names of strategies, as `STRATEGIES` has them."""


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class Pick(_Request):
    """Something that a user chose while registering."""

    entity: Name = Field(default="item", description="item, or another entity of the model, such as artist.")
    entity_id: EntityId


class _SaidOfThemselves(_Request):
    """What a user says while registering."""

    age: Age | None = Field(default=None, description="Years.")
    profile: dict[Name, ColumnValue] = Field(
        default={},
        max_length=MAX_COLUMNS,
        description="Categorical columns, such as country. What the model does not know is kept, named in answers, "
        "and is no error.",
        examples=[{"country": "FR"}],
        json_schema_extra={"additionalProperties": False, "propertyNames": {"not": {"enum": list(_RESERVED)}}},
    )
    picks: list[Pick] = Field(default=[], max_length=MAX_PICKS, description="What the user picked while registering.")
    friends: list[UserId] = Field(
        default=[],
        max_length=MAX_FRIENDS,
        description="Users that they know; those who are warm users of the model move the prediction.",
    )

    @field_validator("profile")
    @classmethod
    def _no_reserved_names(cls, value: dict[str, str]) -> dict[str, str]:
        wrong = [name for name in value if name in _RESERVED]
        if wrong:
            raise ValueError(f"{wrong[0]} cannot be the name of a profile column")
        return value


class UserBody(_SaidOfThemselves):
    """Profile, picks and friends of a user; what is left out is forgotten."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "age": 24,
                    "profile": {"country": "FR"},
                    "picks": [{"entity": "artist", "entity_id": "a7"}],
                    "friends": ["u-12"],
                }
            ]
        }
    )

    def to_profile(self) -> Profile:
        """Return what the store keeps."""
        picks = tuple((pick.entity, pick.entity_id) for pick in self.picks)
        return Profile(self.age, self.profile, picks, tuple(self.friends))


class Interaction(_Request):
    """Something that a user did."""

    signal: Name = Field(default="stream", description="What was done: stream, favorite, skip, ban, search, ...")
    entity: Name = Field(default="item", description="To what: item, or another entity of the model.")
    entity_id: EntityId


class EventBody(Interaction):
    """Something that a user did, to keep."""

    event_id: EventId
    user_id: UserId
    timestamp: AwareDatetime | None = Field(
        default=None,
        strict=False,
        description="When it happened, from 1971 to 2099, with its offset from UTC. Kept for you; lists do not "
        "depend on it.",
        json_schema_extra={"pattern": _YEARS},
        examples=["2026-01-31T12:00:00Z"],
    )

    @field_validator("timestamp", mode="before")
    @classmethod
    def _written_out(cls, value: Any) -> Any:
        if value is not None and not (isinstance(value, str) and re.match(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:", value)):
            raise ValueError("give a date and time with an offset, such as 2026-01-31T12:00:00Z")
        return value

    @field_validator("timestamp")
    @classmethod
    def _of_our_time(cls, value: datetime | None) -> datetime | None:
        if value is not None and not _EPOCH <= value < _FAR:
            raise ValueError("give a time from 1971 to 2099")
        return value

    def to_event(self) -> tuple[str, Event]:
        """Return the user's id and what the store keeps."""
        when = None if self.timestamp is None else (self.timestamp - _EPOCH) // timedelta(milliseconds=1)
        return self.user_id, Event(self.event_id, self.signal, self.entity, self.entity_id, when)


class EventsBody(_Request):
    """Events of any users, all taken or none."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "events": [
                        {"event_id": "e-1", "user_id": "u-4711", "signal": "stream", "entity_id": "i81"},
                        {
                            "event_id": "e-2",
                            "user_id": "u-4711",
                            "signal": "favorite",
                            "entity": "artist",
                            "entity_id": "a7",
                            "timestamp": "2026-01-31T12:00:00Z",
                        },
                    ]
                }
            ]
        }
    )

    events: list[EventBody] = Field(min_length=1, max_length=MAX_EVENTS)


class SignalsBody(_SaidOfThemselves):
    """All that is known of a user who is not in the store."""

    interactions: list[Interaction] = Field(
        default=[], max_length=MAX_INTERACTIONS, description="What the user did so far."
    )

    def to_signals(self) -> Signals:
        """Return the form that every strategy takes."""
        picks = [(PICK_SIGNAL, pick.entity, pick.entity_id) for pick in self.picks]
        done = [(one.signal, one.entity, one.entity_id) for one in self.interactions]
        return Signals(age=self.age, interactions=[*picks, *done], friends=self.friends, **self.profile)


K = Field(
    description=f"Length of the list; empty: the model's setting ({RecommendConfig().k} if it was left alone).",
    examples=[10],
)
STRATEGY = Field(description="How the list is made; empty: the model's setting.", examples=["segment"])
EXPLAIN = Field(description="Say why: route, segments, the signals that moved the prediction, and each item.")
KEEP_USED = Field(description="Allow items that the user has used or banned.")


class RecommendBody(_Request):
    """Signals, and what list is wanted; nothing of it is kept."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "signals": {
                        "age": 24,
                        "profile": {"country": "FR"},
                        "interactions": [{"signal": "favorite", "entity": "item", "entity_id": "i81"}],
                    },
                    "k": 10,
                    "explain": True,
                }
            ]
        }
    )

    signals: SignalsBody = SignalsBody()
    k: Annotated[Length | None, K] = None
    strategy: Annotated[StrategyName | None, Field(strict=False), STRATEGY] = None
    explain: Annotated[bool, EXPLAIN] = False
    keep_used: Annotated[bool, KEEP_USED] = False
