"""What requests may hold, where unknown fields are refused, and what responses hold."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Annotated, Any, Literal

import pydantic_core
from fastapi import Query, Response
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    WithJsonSchema,
    field_validator,
)

from firstday.features.impressions import Impression
from firstday.features.signals import INTERACTION, PICK, RESERVED
from firstday.recommend.registry import strategy_names
from firstday.serve.store.base import DAY_US, Assignment, Event, Profile, to_time, to_us

MAX_EVENTS = 1000
MAX_INTERACTIONS = 1000
MAX_PICKS = 100
MAX_FRIENDS = 1000
MAX_COLUMNS = 50
MAX_K = 1000
MAX_POSITION = 100_000
MOST_IGNORED = 10
"""Events that are told of one by one, at most."""
ID_LENGTH = 128
NAME_LENGTH = 64

_BAD = r"\x00-\x1F\x7F-\x9F\uFFFD"  # control characters, and what stands where something was not UTF-8
_ID = rf"^[^{_BAD}]+$"
_USER_ID = rf"^[^{_BAD}/]*[^{_BAD}/.][^{_BAD}/]*$"  # something but a dot, so that it can be part of a path
_NAME = r"^[A-Za-z_][A-Za-z0-9_.\-]{0,63}$"
_RESERVED = (*RESERVED, "self")
_YEARS = r"^(197[1-9]|19[89][0-9]|20[0-9][0-9])-"
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


def _or_number(text: Any) -> WithJsonSchema:
    """Return the schema of a text, or of a whole number that stands for its text."""
    whole = {"type": "integer", "minimum": -_LARGEST, "maximum": _LARGEST}
    return WithJsonSchema({"anyOf": [TypeAdapter(text).json_schema(), whole]})


UserIdText = Annotated[str, Field(min_length=1, max_length=ID_LENGTH, pattern=_USER_ID)]
IdText = Annotated[str, Field(min_length=1, max_length=ID_LENGTH, pattern=_ID)]
UserId = Annotated[
    UserIdText,
    BeforeValidator(_text_of_whole_number),
    _or_number(UserIdText),
    Field(description="The caller's id of a user: no slash, no control characters, not dots alone."),
]
ColumnValue = Annotated[IdText, BeforeValidator(_text_of_whole_number), _or_number(IdText)]
EventId = Annotated[ColumnValue, Field(description="The caller's id of an event, unique for its user.")]
EntityId = Annotated[ColumnValue, Field(description="The caller's id of an item, or of a member of another entity.")]
ListId = Annotated[
    ColumnValue,
    Field(description="The id of a list: the service's, where it recorded the list, or the caller's."),
]
Name = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH, pattern=_NAME)]
Position = Annotated[int, Field(ge=1, le=MAX_POSITION), BeforeValidator(_whole_number)]
Propensity = Annotated[float, Field(gt=0, le=1, strict=False)]
Age = Annotated[int, Field(ge=0, le=120), BeforeValidator(_whole_number)]
Length = Annotated[int, Field(ge=1, le=MAX_K), BeforeValidator(_whole_number)]

StrategyName = StrEnum("StrategyName", {name: name for name in strategy_names()})  # type: ignore[misc]
"""Names of strategies, as the registry has them."""


class _Parameters(BaseModel):
    """Parameters of a path's query: text, which is read as what it stands for."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class _Request(_Parameters):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class Pick(_Request):
    """Something that a user chose while registering."""

    entity: Name = "item"
    """item, or another entity of the model, such as artist."""
    entity_id: EntityId


class Interaction(_Request):
    """Something that a user did."""

    signal: Name = "stream"
    """What was done: stream, favorite, skip, ban, search, ...; or shown, where an item was shown, which never counts as
    use."""
    entity: Name = "item"
    """To what: item, or another entity of the model."""
    entity_id: EntityId


class _Placement(_Request):
    list_id: ListId | None = None
    """The list that it came from."""
    position: Position | None = None
    """The item's place in the list, from 1. Of an item that was shown, leave it out where the user saw it for
    certain."""
    propensity: Propensity | None = None
    """How likely the policy was to show the item there; empty: that of the recorded list, if there is one. Lists do not
    depend on it."""
    policy: Name | None = None
    """What made the list; empty: that of the recorded list, if there is one. Lists do not depend on it."""


class ShownItem(_Placement):
    """An item that was shown to the user; those without a list were shown alone."""

    item_id: EntityId


def _whole_form(value: Any) -> Any:
    """Write an item's id, or [id, position], as the object that it stands for."""
    if isinstance(value, list):
        if len(value) != 2 or value[1] is None:
            raise ValueError("give an item's id, [id, position], or an object with item_id")
        return {"item_id": value[0], "position": value[1]}
    return value if isinstance(value, dict) else {"item_id": value}


Shown = Annotated[
    ShownItem,
    BeforeValidator(_whole_form, json_schema_input_type=EntityId | tuple[EntityId, Position] | ShownItem),
]
"""An impression as `Impression.read` takes it."""


def _as_object(parts: Iterable[str], value: Any) -> Any:
    """Write a list of all parts, in their order, as the object that it stands for."""
    if not isinstance(value, list | tuple):
        return value
    names = list(parts)
    if len(value) != len(names):
        raise ValueError(f"give [{', '.join(names)}], or an object of these")
    return dict(zip(names, value, strict=True))


PickForm = Annotated[
    Pick, BeforeValidator(partial(_as_object, PICK), json_schema_input_type=tuple[Name, EntityId] | Pick)
]
InteractionForm = Annotated[
    Interaction,
    BeforeValidator(partial(_as_object, INTERACTION), json_schema_input_type=tuple[Name, Name, EntityId] | Interaction),
]


class SignalsBody(_Request):
    """All that is known of a user, in the form that every command and call takes (`Signals.of`)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"age": 24, "profile": {"country": "FR"}, "picks": [["artist", "a7"]], "friends": ["u-12"]}]
        }
    )

    age: Age | None = None
    """Years."""
    profile: dict[Name, ColumnValue] = Field(
        default={},
        max_length=MAX_COLUMNS,
        examples=[{"country": "FR"}],
        json_schema_extra={"additionalProperties": False, "propertyNames": {"not": {"enum": list(_RESERVED)}}},
    )
    """Categorical columns, such as country. What the model does not know is kept, named in answers, and is no error."""
    picks: list[PickForm] = Field(default=[], max_length=MAX_PICKS)
    """What the user picked while registering."""
    friends: list[UserId] = Field(default=[], max_length=MAX_FRIENDS)
    """Users that they know; those who are warm users of the model move the prediction."""

    interactions: list[InteractionForm] = Field(default=[], max_length=MAX_INTERACTIONS)
    """What the user did so far."""
    shown: list[Shown] = Field(
        default=[],
        max_length=MAX_INTERACTIONS,
        examples=[["i7", ["i9", 2], {"item_id": "i3", "position": 3, "list_id": "l-1"}]],
    )
    """What was shown to the user so far: an item's id where the user saw it for certain, [id, position], or an object.
    What of it was not used was passed over, and the list learns from that."""

    @field_validator("profile")
    @classmethod
    def _no_reserved_names(cls, value: dict[str, str]) -> dict[str, str]:
        wrong = [name for name in value if name in _RESERVED]
        if wrong:
            raise ValueError(f"{wrong[0]} cannot be the name of a profile column")
        return value

    def to_profile(self) -> Profile:
        """Return what the store keeps."""
        return Profile(
            self.age,
            self.profile,
            tuple((pick.entity, pick.entity_id) for pick in self.picks),
            tuple(self.friends),
            interactions=tuple((done.signal, done.entity, done.entity_id) for done in self.interactions),
            shown=tuple(Impression(**vars(item)) for item in self.shown),
        )


class EventBody(Interaction, _Placement):
    """Something that a user did, to keep.

    Where events of the signal shown name a list, they say what was seen of it, and the list as the service recorded it
    no longer does.
    """

    event_id: EventId
    user_id: UserId
    timestamp: AwareDatetime | None = Field(
        default=None, strict=False, json_schema_extra={"pattern": _YEARS}, examples=["2026-01-31T12:00:00Z"]
    )
    """When it happened, from 1971 to tomorrow, with its offset from UTC. Kept for you; lists do not depend on it."""

    @field_validator("timestamp", mode="before")
    @classmethod
    def _written_out(cls, value: Any) -> Any:
        if value is not None and not (isinstance(value, str) and re.match(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:", value)):
            raise ValueError("give a date and time with an offset, such as 2026-01-31T12:00:00Z")
        return value

    @field_validator("timestamp")
    @classmethod
    def _of_our_time(cls, value: datetime | None) -> datetime | None:
        if value is not None and not 0 <= to_us(value) < to_us(datetime.now(UTC)) + DAY_US:
            raise ValueError("give a time from 1971 to now")
        return value

    def to_event(self) -> tuple[str, Event]:
        """Return the user's id and what the store keeps."""
        values = dict(self)
        user_id, time = values.pop("user_id"), values.pop("timestamp")
        return user_id, Event(**values, timestamp_ms=time and to_us(time) // 1000)


class EventsBody(_Request):
    """Events of any users, all taken or none."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "events": [
                        {"event_id": "e-1", "user_id": "u-4711", "signal": "stream", "entity_id": "i81"},
                        {"event_id": "e-2", "user_id": "u-12", "entity": "artist", "entity_id": "a7"},
                    ]
                }
            ]
        }
    )

    events: list[EventBody] = Field(min_length=1, max_length=MAX_EVENTS)


MAX_PER_ANSWER = 200
"""Segments or items in one answer, at most."""
AtMost = Annotated[int, Field(ge=1, le=MAX_PER_ANSWER)]


class ListOptions(_Parameters):
    """What list is wanted."""

    k: Length | None = Field(default=None, examples=[10])
    """Length of the list; empty: the model's setting."""
    strategy: StrategyName | None = Field(default=None, strict=False, examples=["segment"])
    """How the list is made; empty: the model's setting."""
    explain: bool = False
    """Say why: route, segments, the signals that moved the prediction, and each item."""
    keep_used: bool = False
    """Allow items that the user has used or banned."""


class RecommendBody(ListOptions, _Request):
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


class ListParameters(ListOptions):
    """What list is wanted of a user."""

    record: bool = False
    """Keep that the user is shown this list, so that the next one learns from what was passed over. Where keys are set,
    it needs a key that opens writing as well as reading."""


class SegmentParameters(_Parameters):
    """How much of a segment to show."""

    items: AtMost = 50
    """How many of its top items."""


class SegmentsParameters(_Parameters):
    """Which segments to show, and how much of each."""

    offset: int = Field(default=0, ge=0, le=1_000_000)
    """How many to leave out."""
    limit: AtMost = 20
    """How many to return."""
    items: AtMost = 5
    """How many top items of each."""


class ItemsParameters(_Parameters):
    """Which items to find."""

    query: str = Field(default="", max_length=ID_LENGTH, examples=["toy"])
    """A part of the title in any case, or an id."""
    limit: AtMost = 20
    """How many to return."""


class OnboardingParameters(_Parameters):
    """The answers so far."""

    user_id: UserIdText | None = None
    """Whose stored picks count as liked."""
    liked: list[IdText] = Field(default=[], max_length=MAX_PICKS)
    """Ids of items answered with yes."""
    passed: list[IdText] = Field(default=[], max_length=MAX_PICKS)
    """Ids of items answered with no, or not known."""
    entity: Name = "item"
    """What is asked about: item, or another entity of the model."""
    k: Length | None = None
    """Length of a list by all answers; no list where it is left out."""


class NearParameters(_Parameters):
    """How many near segments to show, and how much of each."""

    limit: int = Field(default=5, ge=1, le=32)
    """How many segments, heaviest first."""
    items: int = Field(default=20, ge=0, le=MAX_PER_ANSWER)
    """How many items of each one's list."""


class NoParameters(_Parameters):
    """None are taken."""


NoQuery = Annotated[NoParameters, Query()]
"""The type of what a path that takes no parameters is given."""


ItemId = int | str
Source = Literal["store", "request", "store_unavailable"]
"""Where a user's signals came from."""


class _Answer(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class _ByModel(_Answer):
    model: str


class _Named(_Answer):
    item_id: ItemId
    title: str


class Item(_Named):
    """One place of a list."""

    title: str
    """Empty where the items have none."""
    score: float
    """On the scale that score_scale names; 0 for items that only fill the list up."""


class SegmentItem(_Named):
    """What people of a segment use."""

    share: float
    """Share of the segment's people who use it."""
    share_of_everyone: float = Field(validation_alias="everyone")


class _Segment(_Answer):
    segment: int = Field(validation_alias="number")
    users: int = Field(validation_alias="n_users")


class SegmentAnswer(_Segment):
    """A segment: people of similar taste."""

    users: int = Field(validation_alias="n_users")
    """How many warm users it has."""
    spread: float
    """Mean squared distance of its people to its centre."""
    top_items: list[SegmentItem] = Field(validation_alias="top")
    """What they use most, best first."""


class SegmentsAnswer(_ByModel):
    """Segments, largest first."""

    total: int
    segments: list[SegmentAnswer]


class OneSegmentAnswer(_ByModel, SegmentAnswer):
    """One segment."""


class NearSegment(SegmentAnswer):
    """A segment near to the predicted taste."""

    weight: float
    """Its share in the list, from 0 to 1."""
    distance: float
    """From the predicted vector to its centre."""


class MovedBy(_Answer):
    """What leaving out one signal does to the prediction."""

    signal: str
    """What it is, such as favorite item i81, favorite artist a7 (Nina), or country FR."""
    moved: float
    """How far the predicted vector is from the one without this signal: 1 - cosine, from 0 to 2."""
    segment_without: int | None
    """The predicted segment without it; null: nothing would be known."""


class NearSignal(_Named):
    """What the user likes that is most like an item."""

    similarity: float
    """Cosine of the two items' vectors."""


class ItemReason(_Answer):
    """Why an item is in the list."""

    item_id: ItemId
    why: str
    """A sentence."""
    share_of_segment: float | None
    """Share of the predicted segment's people who use it."""
    share_of_everyone: float
    most_like: NearSignal | None
    """The liked item that is nearest to it."""


class ChangedSegment(_Answer):
    """A segment that the user is believed to belong to more, or less, than before."""

    segment: int
    before: float
    """How likely the user belonged to it before anything was shown, from 0 to 1."""
    after: float
    """How likely the user belongs to it now."""
    titles: list[str]
    """What tells its people best from everyone, best first: its name."""


class Learned(_Answer):
    """What was learned from what was shown, beside all else that is known of the user."""

    n_passed_over: int
    """Items that were shown, and may have been seen, and are not used."""
    n_used: int
    """Items that were shown and that the user likes."""
    risen: list[ChangedSegment]
    """Segments that became likelier, the one that rose most first."""
    fallen: list[ChangedSegment]
    """Segments that became less likely, the one that fell most first."""


class Explanation(_Answer):
    """Why the list is as it is."""

    route: str
    """A sentence on what answered and why."""
    segments: list[NearSegment]
    """The nearest segments, nearest first."""
    moved_by: list[MovedBy]
    """The user's signals, the one that moved the prediction most first."""
    signals_left_out: int
    """Signals that were not tried, since there are too many; the oldest."""
    items: list[ItemReason]
    learned: Learned | None = None
    """Only where something was passed over."""


class ListAnswer(_Answer):
    """A list."""

    model: str
    """Version of the model that answered."""
    user_id: str | None = None
    """Whose it is, where the store was asked."""
    strategy: str
    """What was asked for."""
    route: str
    """What answered: the strategy, or a fallback (group, popular)."""
    signals_from: Source
    """store_unavailable: the store did not answer, so that the list rests on nothing of the user."""
    segment: int | None
    """The predicted segment; null where nothing is known of the user."""
    segment_size: int | None
    """How many warm users it has."""
    score_scale: str
    """What the scores are: share of ... (of whom, from 0 to 1), probability of use (as validation users used what was
    listed for them), or score, which means nothing but the order."""
    n_ranked: int
    """How many of the items, the first ones, the route ranked; the others only fill the list up."""
    items: list[Item]
    """Best first."""
    ignored: list[str]
    """A sentence for each thing known of the user that has no effect: the model does not understand it, or nothing in
    the model rests on it."""
    notes: list[str]
    """A sentence for each signal that only keeps items out of the list."""
    list_id: str | None = None
    """Only where record was asked for, and the list is recorded: send it with events about the list."""
    not_recorded: str | None = None
    """Only where record was asked for, and the list is not recorded: why."""
    experiment: str | None = None
    """The experiment that the list is part of."""
    variant: str | None = None
    """The user's variant in it, by whose strategy the list is; null where the request named a strategy."""
    explanation: Explanation | None = None
    """Only where explain was asked for."""


class _KeptEvents(_Answer):
    """What became of events."""

    accepted: int
    """New events, now durable."""
    duplicates: int
    """Events that their user had already by their id; left as they were."""
    not_understood: int
    """Events, new or not, that name a signal, entity or id that the model does not know. They are kept."""


class EventsAnswer(_KeptEvents):
    """What became of a batch of events."""

    ignored: list[str]
    """Sentences on the first of them."""


class LineError(_Answer):
    """What is wrong with a line of a stream."""

    line: int
    """Its number, from 1."""
    field: str
    """The field that is at fault; empty: the line as a whole."""
    message: str
    """What is wrong with it."""


class StreamAnswer(_KeptEvents):
    """What became of a stream of events."""

    refused: int
    """Lines that are no events; all others are kept."""
    errors: list[LineError]
    """What is wrong with them, the first ones."""


class RecordedItem(_Answer):
    """An item of a recorded list."""

    item_id: str
    position: int
    propensity: float


_ReadTime = BeforeValidator(lambda us: to_time(us) if us else None)


class RecordedList(_Answer):
    """A list that was shown."""

    list_id: str
    policy: str
    """What made it."""
    recorded_at: Annotated[datetime, _ReadTime, Field(validation_alias="received_us")]
    is_told: bool
    """Whether events of the signal shown said what was seen of it; then the list no longer does."""
    items: list[RecordedItem] = Field(validation_alias="impressions")


class UserAnswer(_Answer):
    """Everything known of a user."""

    user_id: str
    age: int | None
    profile: dict[str, str] = Field(validation_alias="columns")
    picks: list[PickForm]
    friends: list[str]
    interactions: list[InteractionForm] = []
    """What was put as done, beside the events."""
    shown: list[ShownItem] = []
    """What was put as shown, beside the lists."""
    put_at: Annotated[datetime | None, _ReadTime, Field(validation_alias="put_us")]
    """When profile, picks and friends were put."""
    first_seen_at: Annotated[datetime | None, _ReadTime, Field(validation_alias="first_us")]
    """When something of the user was first kept."""
    events: list[Event]
    """In the order of receipt."""
    lists: list[RecordedList]
    """What was shown and recorded, in the order of receipt."""
    assignments: list[Assignment]
    """Experiments that the user takes or took part in."""


class PutAnswer(_ByModel):
    """What became of a profile."""

    user_id: str
    ignored: list[str]
    """A sentence for each part that the model does not understand. It is kept."""


class FoundItem(_Named):
    """An item."""

    share_of_everyone: float
    """Share of warm users who use it."""


class ItemsAnswer(_ByModel):
    """Items found, most used first."""

    items: list[FoundItem]


class QuestionAnswer(_Answer):
    """What to ask the newcomer next."""

    entity: str = "item"
    """What it is: item, or another entity."""
    entity_id: ItemId
    """Its id."""
    name: str
    """What people call it; empty where no title or name is known."""
    item_id: ItemId | None
    """Of an item, its id once more."""
    title: str | None
    """Of an item, its title once more."""
    gain_bits: float
    """How much the answer tells of the segment, on average."""


class OnboardingAnswer(_ByModel):
    """The state of the questionnaire."""

    answered: int
    """Answers that were taken into account."""
    ignored: list[str]
    """A sentence for each answer that does not count: of an unknown item, or both."""
    signals_from: Source
    """store_unavailable: picks in the store could not be read."""
    question: QuestionAnswer | None
    """The next one; null where nothing is left to ask."""
    likely_segments: list[int]
    """The three most likely after the answers."""
    route: str | None = None
    """Only where k was given. answers: what warm users who would have answered alike use. Where the model keeps none:
    the strategy, or fallback, that answered from the yeses."""
    score_scale: str | None = None
    """Only where k was given: what the scores are, as in any list."""
    n_ranked: int | None = None
    """Only where k was given: how many of the items, the first ones, the route ranked."""
    items: list[Item] | None = None
    """Only where k was given: a list by yeses and noes, without these items, best first."""


class ModelAnswer(_ByModel):
    """The model that answers now."""

    firstday: str
    """Version of firstday that trained it."""
    created_at: str
    loaded_at: datetime
    dimensions: int
    segments: int
    items: int
    signals: list[str]
    """Signals that it knows."""
    entities: list[str]
    """Entities that it knows, item first."""
    profile_columns: list[str]
    """Profile columns that it knows, age among them."""
    features: list[str]
    """Blocks of its input."""
    strategies: list[str]
    default_strategy: str
    default_k: int
    data: dict[str, Any]
    metrics: dict[str, Any]


class ReloadAnswer(_Answer):
    """What a reload did."""

    model: str
    """The version that answers now."""
    before: str
    """The version that answered before."""
    changed: bool


class BackupAnswer(_Answer):
    """What a copy of the store did."""

    bytes: int
    """Size of the copy."""


class HealthAnswer(_Answer):
    """Whether the process is there."""

    status: Literal["ok"] = "ok"


class ReadyAnswer(_Answer):
    """Whether requests should be sent here."""

    status: Literal["ready"] = "ready"
    model: str
    store: Literal["ok", "unavailable"]
    """unavailable: lists come without stored signals, and writes fail, until it is back."""


class AgeRange(_Answer):
    """The ages of warm users."""

    youngest: int
    oldest: int


class ProfileValue(_Answer):
    """A value of a profile column."""

    value: str
    users: int
    """Warm users who have it."""


class ProfileColumn(_Answer):
    """A profile column that the model knows."""

    column: str
    values: list[ProfileValue]
    """Those that warm users have, in the order of the alphabet."""
    values_left_out: int
    """How many rarer values are not listed."""


class ProfileAnswer(_ByModel):
    """What a newcomer may say of themselves."""

    age: AgeRange | None
    """null: the model knows no ages."""
    columns: list[ProfileColumn]


class Place(_Answer):
    """A place on the map, which goes from -1.5 to 1.5 and from -1 to 1."""

    x: float
    y: float


class ApartItem(_Named):
    """An item that sets a segment apart."""

    lift: float
    """Share of the segment's people who use it, smoothed as soft_segments does, by everyone's share."""


class SegmentDot(Place, _Segment):
    """A segment on the map."""

    radius: float
    """Of its dot, in the map's units: the area follows the users."""
    apart: list[ApartItem] = Field(validation_alias="distinctive")
    """What tells its people best from everyone, best first: its name."""


class MapAnswer(_ByModel):
    """All segments in two dimensions."""

    everyone: Place
    """Where somebody is of whom nothing is known."""
    kept: float
    """Part of the centroids' variance that two dimensions keep, before spreading."""
    segments: list[SegmentDot]
    """Largest first."""


class ListedItem(SegmentItem):
    """What a near segment recommends."""

    most_like: NearSignal | None
    """The liked item that is nearest to it."""


class SpeakingSegment(_Segment):
    """A segment near to a user's predicted taste, with its list."""

    weight: float
    """Its part in the list of soft_segments, from 0 to 1."""
    apart: list[ApartItem] = Field(validation_alias="distinctive")
    """What tells its people best from everyone, best first."""
    items: list[ListedItem]
    """What its people use most, without what the user has used or banned."""


class NearAnswer(_ByModel):
    """The segments near to a user."""

    user_id: str
    signals_from: Source
    place: Place
    """The mean of the places of the near segments by their weights."""
    segments: list[SpeakingSegment]
    """Heaviest first; none where nothing is known of the user."""


def json_response(values: Any) -> Response:
    """Return JSON values as a response, without another look at their types."""
    return Response(pydantic_core.to_json(values), media_type="application/json")
