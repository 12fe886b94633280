"""Schemas of requests, which reject unknown fields, and of responses."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Self

import pydantic_core
from fastapi import Response
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError
from typing_extensions import TypeAliasType

from firstday.errors import ConfigError
from firstday.features.signals import RESERVED, Age
from firstday.features.wire_types import (
    BAD_CHARACTERS,
    ID_LENGTH,
    MAX_INTEGER,
    NOT_AN_ID,
    REAL_ID,
    AnyImpression,
    AnyInteraction,
    AnyPick,
    EntityId,
    IdText,
    Integer,
    Name,
    ProfileText,
    as_whole,
    integer_as_text,
)
from firstday.recommend.registry import strategy_names
from firstday.recommend.rules.filters import MAX_FILTER_LENGTH
from firstday.recommend.rules.list_rules import MAX_IDS, NO_RULES, Row, Rules
from firstday.serve.store.records import Assignment, Event, EventTime, StoredEvent, to_time

MAX_EVENTS = 1000
MAX_INTERACTIONS = 1000
MAX_PICKS = 100
MAX_COLUMNS = 50
MAX_FILTERS_LENGTH = 10_000
"""Maximum characters of all filters and boosts of a request."""
MAX_ITEM_BYTES = 2**15
MAX_NUMBERS = 4096

_USER_ID = rf"^[^{BAD_CHARACTERS}/]*[^{BAD_CHARACTERS}/.][^{BAD_CHARACTERS}/]*$"
"""Not only dots, so that it can be part of a path."""

UserIdText = Annotated[Annotated[str, Field(min_length=1, max_length=ID_LENGTH, pattern=_USER_ID)], REAL_ID, NOT_AN_ID]
_PathId = Annotated[UserIdText, BeforeValidator(integer_as_text, json_schema_input_type=UserIdText | Integer)]
UserId = Annotated[
    _PathId, Field(description="Your user id, without slashes and control characters, and not only dots.")
]
_LIST_NAME = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"


def _check_list_name(name: str) -> str:
    if not re.match(_LIST_NAME, name):
        raise ValueError("give 1 to 64 characters of A-Z, a-z, 0-9 and _, the first not a digit")
    return name


def _check_item_value(value: Any) -> Any:
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) or (isinstance(one, int | float) and abs(one) <= MAX_INTEGER) for one in values):
        raise ValueError(f"give a text, true, false, a list of ids, or a number of at most {MAX_INTEGER:,}")
    return value


_Scalar = bool | Annotated[float, Field(ge=-MAX_INTEGER, le=MAX_INTEGER)] | str
ItemValue = Annotated[Any, BeforeValidator(_check_item_value, json_schema_input_type=_Scalar | list[_Scalar])]
FilterName = Annotated[str, Field(pattern=_LIST_NAME), BeforeValidator(_check_list_name)]
RuleText = Annotated[str, Field(max_length=MAX_FILTER_LENGTH)]
Length = Annotated[int, Field(ge=1, le=1000), BeforeValidator(as_whole)]


def _check_strategy(name: Any) -> Any:
    names = strategy_names()
    if name not in names:
        expected = f"{', '.join(map(repr, names[:-1]))} or {names[-1]!r}"
        raise ValueError(f"Input should be {expected}")
    return name


def _list_strategies(schema: dict[str, Any]) -> None:
    """Restrict a JSON schema to the strategies that are registered when it is rendered."""
    schema |= {"enum": list(strategy_names()), "title": "StrategyName"}


StrategyName = TypeAliasType(
    "StrategyName", Annotated[str, BeforeValidator(_check_strategy), Field(json_schema_extra=_list_strategies)]
)
"""Name of a strategy that is registered when a request is read."""


class _Parameters(BaseModel):
    """Query parameters of an endpoint, parsed from text."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class _Request(_Parameters):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Signals(_Request):
    age: Age | None = None
    profile: dict[Name, ProfileText] = Field(
        default={},
        max_length=MAX_COLUMNS,
        json_schema_extra={"additionalProperties": False, "propertyNames": {"not": {"enum": list(RESERVED)}}},
    )
    """Categorical columns, such as country. Columns and values unknown to the model are stored and reported in
    responses; they are not errors."""
    picks: list[AnyPick] = Field(default=[], max_length=MAX_PICKS)
    """Items and entity members that the user chose during registration."""
    friends: list[UserId] = Field(default=[], max_length=1000)
    """The user's friends. Those who are warm users of the model affect the prediction."""

    interactions: list[AnyInteraction] = Field(default=[], max_length=MAX_INTERACTIONS)
    """The user's actions so far."""
    shown: list[AnyImpression] = Field(default=[], max_length=MAX_INTERACTIONS)
    """Impressions so far, each an item id (if the user certainly saw the item), [id, position], or an object. Items
    shown but not used count as passed over, which affects the list."""


_USER_EXAMPLE: Any = {"age": 24, "profile": {"country": "FR"}, "picks": [["artist", "a7"]], "friends": ["u-12"]}


class SignalsBody(_Signals):
    """Everything known about a user, in the form shared by all commands and calls (`Signals.of`)."""

    model_config = ConfigDict(json_schema_extra={"examples": [_USER_EXAMPLE]})

    @model_validator(mode="before")
    @classmethod
    def _point_to_profile(cls, body: Any) -> Any:
        """Refuse an unknown field, which may be a profile column."""
        unknown = [name for name in body if name not in UserAnswer.model_fields] if isinstance(body, dict) else ()
        _refuse_misplaced(unknown, "Unknown field; put profile columns in profile")
        return body


def _name_fields(schema: dict[str, Any]) -> None:
    """Add examples to a JSON schema, and restrict it to the fields of a user's answer."""
    schema |= {"examples": [_USER_EXAMPLE], "propertyNames": {"enum": list(UserAnswer.model_fields)}}


class UserBody(SignalsBody):
    """Registration data of a user. Read-only fields are ignored, so that what `GET` returns can be sent back."""

    model_config = ConfigDict(extra="ignore", json_schema_extra=_name_fields)


class MergeBody(_Request):
    """A guest to merge."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"from": "guest-81"}]})

    guest_id: UserId = Field(alias="from")
    """Id under which the user was known so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBody(Event):
    """A user action to store.

    If a list has events with the signal shown, these define which of its items were seen.
    """

    user_id: UserId


class EventsBody(_Request):
    """Events of one or more users. Either all are stored or none."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"events": [{"event_id": "e-2", "user_id": "u-12", "entity": "artist", "entity_id": "a7"}]}]
        }
    )

    events: list[EventBody] = Field(min_length=1, max_length=MAX_EVENTS)


MAX_LIMIT = 200
"""Maximum number of segments or items in a response."""
Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT)]


class ListOptions(_Parameters):
    """Options of a list."""

    k: Length | None = None
    """List length. Defaults to the model's setting."""
    strategy: StrategyName | None = None
    """Strategy of the list. Defaults to the model's setting."""
    explain: bool = False
    """Explain the list: the route, segments, each signal's effect on the prediction, and each item."""
    keep_used: bool = False
    """Allow items that the user has used, banned or passed over."""


def _refuse_misplaced(names: Iterable[str], advice: str) -> None:
    """Raise ValidationError for the first of some fields of a body that belong elsewhere."""
    for name in names:
        error = PydanticCustomError("misplaced", advice)
        raise ValidationError.from_exception_data("", [{"type": error, "loc": (name,), "input": None}])


def _limit_filters(layers: Iterable[Any]) -> None:
    """Raise ConfigError for more filters than can be parsed at once, before any of them is."""
    size = sum(len(f"{one.get('filter')}{one.get('boost')}") for one in layers if isinstance(one, dict))
    if size > MAX_FILTERS_LENGTH:
        raise ConfigError(f"filters and boosts have {size:,} characters; give at most {MAX_FILTERS_LENGTH:,}.")


class _RulesBody(ListOptions, _Request):
    rules: Rules = NO_RULES
    """Rules on the list, or on all rows."""
    rows: list[Row] = Field(default=[], max_length=20)
    """Rows of a page: several lists without repeats, each with its own rules. Empty: one list."""

    @model_validator(mode="before")
    @classmethod
    def _limit_filters(cls, body: Any) -> Any:
        if isinstance(body, dict):
            names = Rules.model_fields.keys() - cls.model_fields.keys()
            _refuse_misplaced([name for name in body if name in names], "Unknown field; move it into rules")
            rows = body.get("rows")
            _limit_filters([body.get("rules"), *(rows if isinstance(rows, list) else ())])
        return body


class RecommendBody(_RulesBody):
    """Signals and list options. Nothing is stored."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"signals": {"age": 24, "interactions": [["favorite", "item", "i81"]]}, "k": 10}]
        }
    )

    signals: SignalsBody = SignalsBody()


class _OfUser(ListOptions):
    record: bool = False
    """Record that this list is shown to the user, so that later lists take into account items passed over. If keys are
    set, the key needs both read and write access."""
    after: str = Field(default="", max_length=ID_LENGTH)
    """Id of a recorded list to continue, with the same ranking. Send the same rules again."""


class UserListBody(_OfUser, _RulesBody):
    """Options of a user's list, and rules."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"k": 10, "rules": {"filter": "item_id not in lists.sold_out", "lists": {"sold_out": ["i3"]}}}]
        }
    )

    @model_validator(mode="after")
    def _check_rows(self) -> Self:
        if self.rows and self.after:
            raise ValueError("after continues a single list; omit rows")
        return self


CONTEXT = "context."
Repeated = Annotated[list[RuleText], Field(max_length=MAX_COLUMNS)]


class _RuleParameters(_Parameters):
    """Rules; values that filters read as ``user.NAME`` are ``context.NAME``."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, ProfileText] = Field(init=False)

    filter: RuleText = ""
    """Condition on item columns that all listed items meet."""
    allow: list[IdText] | None = Field(None, max_length=MAX_EVENTS)
    """Ids of items that may be listed. All if omitted."""
    deny: list[IdText] = Field([], max_length=MAX_EVENTS)
    """Ids of items that may not be listed."""
    cap: Repeated = []
    """COLUMN:NUMBER, the maximum number of items per value of a column."""
    pin: Repeated = []
    """RANK:ITEM_ID, an item at a rank."""
    boost: Repeated = []
    """FILTER:FACTOR, multiplies the scores of items that meet the filter by the factor."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, values: dict[str, Any]) -> dict[str, Any]:
        unknown: list[InitErrorDetails] = [
            {"type": "extra_forbidden", "loc": (name,), "input": None}
            for name in values
            if name not in cls.model_fields and not name.startswith(CONTEXT)
        ]
        if unknown:
            raise ValidationError.from_exception_data("", unknown)
        return values

    @field_validator("filter")
    @classmethod
    def _refuse_empty(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("the filter is empty; give a condition, or omit it")
        return text

    def rules(self) -> Rules:
        """Return the rules; raise `ConfigError` if one is invalid."""
        values = self.model_dump(include={"filter", *REPEATED}, exclude_defaults=True)
        if self.model_extra:
            values["context"] = {name.removeprefix(CONTEXT): value for name, value in self.model_extra.items()}
        _limit_filters([values])
        return Rules.of(values) if values else NO_RULES


class ListParameters(_OfUser, _RuleParameters):
    """Options of a user's list, and rules."""


class SimilarParameters(_RuleParameters):
    """Options of a list of similar items, and rules."""

    k: Length | None = None
    """List length. Defaults to the model's setting."""
    user: UserIdText | None = None
    """User for whom the list is ranked, and whose used items are excluded."""
    keep_used: bool = False
    """Allow items that the user has used, banned or passed over."""


REPEATED = ("allow", "deny", "cap", "pin", "boost")
"""Parameters that may be repeated."""


class ItemListBody(_Request):
    """Ids of a list."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": ["i3", "i7"]}]})

    items: list[EntityId] = Field(max_length=MAX_IDS)


def _as_time(value: Any) -> Any:
    """Read a time, given as text."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


class ItemBody(_Request):
    """A new item, or the update of one that the model knows, as a row of your table `items`.

    Filters, caps and boosts read its columns. What an update does not state is as the model has it.
    """

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={"examples": [{"title": "Dawn", "artist_id": ["a7"], "year": 2026, "in_stock": True}]},
    )
    __pydantic_extra__: dict[str, ItemValue] = Field(init=False)

    title: str = ""
    description: str = ""
    vector: list[FiniteFloat] = Field(default=[], max_length=MAX_NUMBERS)
    """Your own vector of what a new item is like, of the kind that the model's items had."""
    recommendable: bool | None = None
    """False: the item is not listed. True also restores a withdrawn item."""
    expires_at: Annotated[AwareDatetime, BeforeValidator(_as_time)] | None = None
    """Time from which on the item is not listed, with UTC offset."""
    added_at: Annotated[
        EventTime, Field(strict=False, description="When the item came; defaults to the time of the first call.")
    ] = None

    @model_validator(mode="after")
    def _limit_size(self) -> Self:
        if len(self.model_dump_json(exclude_defaults=True).encode()) > MAX_ITEM_BYTES:
            raise ValueError(f"has more than {MAX_ITEM_BYTES:,} bytes; shorten the description")
        if len(self.model_extra or ()) > MAX_COLUMNS:
            raise ValueError(f"has more than {MAX_COLUMNS} further columns")
        return self


class ItemLine(ItemBody):
    """A line of a stream of new items."""

    item_id: EntityId
    """Your item id."""


class WithdrawParameters(_Parameters):
    """Options of a withdrawal."""

    ahead: bool = False
    """Withdraw an item that neither the model nor the store knows yet."""


class SegmentParameters(_Parameters):
    """Options of a segment."""

    items: Limit = 50


class SegmentsParameters(_Parameters):
    """Options of the list of segments."""

    offset: int = Field(default=0, ge=0, le=1_000_000)
    """Number of segments to skip."""
    limit: Limit = 20
    items: Limit = 5
    """Number of top items per segment."""


class ItemsParameters(_Parameters):
    """Options of the item search."""

    query: str = Field(default="", max_length=ID_LENGTH)
    """Words or parts of words of a title, in any order, without regard to case and accents; or an id."""
    limit: Limit = 20


class OnboardingParameters(_Parameters):
    """Answers so far."""

    user_id: UserIdText | None = None
    """User whose stored picks count as liked."""
    liked: list[IdText] = Field(default=[], max_length=MAX_PICKS)
    """Ids of items answered with yes."""
    passed: list[IdText] = Field(default=[], max_length=MAX_PICKS)
    """Ids of items answered with no, or unknown to the user."""
    entity: Name = "item"
    """What the questions are about: item, or another entity of the model."""
    k: Length | None = None
    """Length of the list based on all answers. No list if omitted."""


ItemId = int | str
Source = Literal["store", "request", "store_unavailable"]
"""Source of a user's signals."""


class _Answer(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class FieldError(_Answer):
    """An error in one field of a request."""

    field: str
    """Name of the field or parameter, such as events[3].user_id."""
    message: str


class ErrorBody(_Answer):
    """Body of every error."""

    status: int
    code: str
    """Machine-readable code, such as invalid, not_found, store_unavailable."""
    message: str
    """Human-readable sentence."""
    errors: list[FieldError]
    """Errors of individual fields; empty if the error is not about a field."""


class _ByModel(_Answer):
    model: str


class _Named(_Answer):
    item_id: ItemId
    title: str
    """Empty if the items have no titles."""


class Item(_Named):
    """An item of a list."""

    score: float
    """Score on the scale score_scale; 0 for items after the first n_ranked."""


class SegmentItem(_Named):
    """An item used by a segment's users."""

    share: float
    """Share of the segment's users who use the item, from 0 to 1."""
    share_of_everyone: float = Field(validation_alias="everyone")


class _Segment(_Answer):
    segment: int = Field(validation_alias="number")
    users: int = Field(validation_alias="n_users")
    """Number of warm users."""


class SegmentAnswer(_Segment):
    """A segment: users with similar taste."""

    spread: float
    """Mean squared distance of the users' vectors to the centroid."""
    top_items: list[SegmentItem] = Field(validation_alias="top")
    """Most used items, best first."""


class SegmentsAnswer(_ByModel):
    """Segments, largest first."""

    total: int
    segments: list[SegmentAnswer]


class OneSegmentAnswer(_ByModel, SegmentAnswer):
    """One segment."""


class NearSegment(SegmentAnswer):
    """A segment near the predicted vector."""

    weight: float
    """Weight in the list, from 0 to 1."""
    distance: float
    """Distance from the predicted vector to the centroid."""


class NearSignal(_Named):
    """The user's liked item that is most similar to a listed item."""

    similarity: float
    """Cosine similarity of the two item vectors."""


class ItemReason(_Answer):
    """Why an item is in the list."""

    item_id: ItemId
    why: str
    share_of_segment: float | None
    """Share of the predicted segment's users who use the item, from 0 to 1."""
    share_of_everyone: float
    most_like: NearSignal | None
    """The user's most similar liked item."""


class Explanation(_Answer):
    """Explanation of a list."""

    route: str
    """The strategy that answered, and what its list is based on."""
    segments: list[NearSegment]
    """Nearest segments, nearest first."""
    items: list[ItemReason]
    known: str
    """Class of the user in the model's `selection`: nothing, profile, friends, 1-3 or 4+ (interactions)."""


class ListAnswer(_Answer):
    """A list."""

    model: str
    """Version of the model that answered."""
    user_id: str | None = None
    """User id, if the store was queried."""
    strategy: str
    """Requested strategy."""
    route: str
    """Strategy that made the list, which may be a fallback (group, recent, popular). Similar items were used_together
    with the item."""
    signals_from: Source
    """store_unavailable: the store did not respond, so the list uses no user data."""
    segment: int | None
    """Predicted segment; null if nothing is known about the user."""
    segment_size: int | None
    """Number of warm users in the segment."""
    score_scale: str
    """Meaning of the scores: share of ... (a share of the users named, from 0 to 1), probability of use (that
    a user who comes back uses the item after day one; the same under any rule), or score (only the order is
    meaningful)."""
    n_ranked: int
    """Number of leading items ranked by the route. Popular items fill the remaining ranks."""
    items: list[Item]
    """Best first."""
    ignored: list[str]
    """One sentence for each value unknown to the model; at most 20."""
    notes: list[str]
    """One sentence for each signal or value that no warm user has, for each rejection or rule without effect, and if
    the model learned from the user, but none of their interactions are known."""
    list_id: str | None = None
    """Id of the recorded list; null if it is not recorded. Send it with events about the list."""
    not_recorded: str | None = None
    """Why the list could not be recorded; null if it was recorded or record was not requested."""
    experiment: str | None = None
    """Experiment that the user takes part in."""
    variant: str | None = None
    """The user's variant, whose strategy made the list; null if the request named a strategy."""
    explanation: Explanation | None = None
    """Present only if explain was requested."""


class ItemListAnswer(_Answer):
    """A list of item ids."""

    name: str
    items: list[str]


class ItemListsAnswer(_Answer):
    """The stored lists."""

    lists: dict[str, int]
    """Number of ids in each list, by name."""


class RowAnswer(ListAnswer):
    """A row of a page."""

    name: str


class PageAnswer(_Answer):
    """The rows of a page."""

    rows: list[RowAnswer]


class _StoredEvents(_Answer):
    """Result of storing events."""

    accepted: int
    """Number of new events, now durable."""
    duplicates: int
    """Number of events whose id the user already has; the stored events are unchanged."""
    not_understood: int
    """Number of events, new or duplicate, with a signal, entity or id unknown to the model. They are stored."""


class EventsAnswer(_StoredEvents):
    """Result of storing a batch of events."""

    ignored: list[str]
    """One sentence for each of the first events unknown to the model."""


class LineError(_Answer):
    """An error in a line of a stream."""

    line: int
    """Line number, from 1."""
    field: str
    """Invalid field; empty if the line as a whole is invalid."""
    message: str


class StreamAnswer(_StoredEvents):
    """Result of storing a stream of events."""

    refused: int
    """Number of invalid lines; all others are stored."""
    errors: list[LineError]
    """The first errors."""


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
    """Policy that made the list."""
    recorded_at: Annotated[datetime, _ReadTime, Field(validation_alias="received_us")]
    is_told: bool
    """Whether events with the signal shown define which items were seen; otherwise all items count as shown."""
    items: list[RecordedItem] = Field(validation_alias="impressions")


class _OfOneUser(_Answer):
    user_id: str


class UserAnswer(_Signals, _OfOneUser):
    """Everything known about a user; interactions and impressions put with the profile are not among the events."""

    model_config = ConfigDict(strict=False, extra="ignore", json_schema_serialization_defaults_required=True)

    put_at: Annotated[datetime | None, _ReadTime, Field(validation_alias="put_us")]
    """Time of the last update of profile, picks and friends."""
    first_seen_at: Annotated[datetime, _ReadTime, Field(validation_alias="first_us")]
    """Time of the first stored data."""
    events: list[StoredEvent]
    """In order of receipt."""
    lists: list[RecordedList]
    """Recorded lists, in order of receipt."""
    assignments: list[Assignment]
    """Experiments that the user takes or took part in; of several variants of one, the first applies."""
    guest_ids: list[str]
    """Guests merged into the user; this is also the answer for these ids."""


class MergeAnswer(_OfOneUser):
    """Result of a merge."""

    guest_ids: list[str]
    """All guests of the user."""
    is_new: bool
    """Whether this call merged the guest; false if it was merged before."""
    n_left_out: int
    """Number of events and lists that are beyond the limits per user after the merge."""


class PutAnswer(_ByModel):
    """Result of storing a profile."""

    user_id: str
    ignored: list[str]
    """One sentence for each value unknown to the model; it is stored nevertheless."""


class ItemPutAnswer(_ByModel):
    """Result of adding or updating an item."""

    item_id: str
    ignored: list[str]
    """One sentence for each value without effect; it is stored nevertheless."""


class ItemAnswer(_ByModel):
    """What holds of an item."""

    item_id: str
    origin: Literal["model", "update", "new", "withdrawal"]
    """What was said last: nothing since training, an update, a new item, or a withdrawal."""
    since: datetime | None
    """When this was said; null for model."""
    is_listed: bool
    """Whether lists may have the item."""
    title: str
    values: dict[str, ItemValue | None]
    """Columns that filters read."""
    updated: list[str]
    """Columns whose values differ from the model's, and title."""


class ItemStreamAnswer(_Answer):
    """Result of adding a stream of new items."""

    accepted: int
    """Number of items stored."""
    refused: int
    """Number of invalid lines; all others are stored."""
    errors: list[LineError]
    """The first errors."""


class FoundItem(_Named):
    """An item."""

    share_of_everyone: float
    """Share of warm users who use the item, from 0 to 1."""


class ItemsAnswer(_ByModel):
    """Items found, most used first."""

    items: list[FoundItem]


class QuestionAnswer(_Answer):
    """The next question for the newcomer."""

    entity: str = "item"
    """What the question is about: item, or another entity."""
    entity_id: ItemId
    """Id of the item or entity member."""
    name: str
    """Title or name; empty if unknown."""
    item_id: ItemId | None
    """Same as entity_id; null unless entity is item."""
    title: str | None
    """Same as name; null unless entity is item."""
    gain_bits: float
    """Expected information about the segment, in bits."""


class OnboardingAnswer(_ByModel):
    """State of the questionnaire."""

    answered: int
    """Number of answers taken into account."""
    ignored: list[str]
    """One sentence for each answer that is not counted: about an unknown item, or both yes and no."""
    signals_from: Source
    """store_unavailable: stored picks could not be read."""
    question: QuestionAnswer | None
    """The next question; null if there are no more."""
    likely_segments: list[int]
    """The three most likely segments given the answers."""
    route: str | None = None
    """answers: the list is based on warm users who use the liked items and not the passed ones. If the model stores no
    warm users: the strategy or fallback that made a list from the yes answers. Null without k."""
    score_scale: str | None = None
    """Meaning of the scores, as in any list. Null without k."""
    n_ranked: int | None = None
    """Number of leading items ranked by the route. Null without k."""
    items: list[Item] | None = None
    """List based on the yes and no answers, without the items asked about, best first. Null without k."""


class ItemColumn(_Answer):
    """A column of items that filters can read."""

    name: str
    type: Literal["boolean", "number", "text", "list"]
    """list: an item has several texts."""
    n_values: int
    """Number of distinct values."""
    values: list[bool | float | str]
    """The most frequent values, at most 10; of numbers, the lowest and the highest."""


class ModelAnswer(_ByModel):
    """The current model."""

    firstday: str
    """firstday version that trained it."""
    created_at: str
    loaded_at: datetime
    dimensions: int
    segments: int
    items: int
    signals: list[str]
    """Known signals."""
    entities: list[str]
    """Known entities, item first."""
    profile_columns: list[str]
    """Known profile columns, including age."""
    item_columns: list[ItemColumn]
    """Columns of items that filters can read."""
    features: list[str]
    """Input feature blocks."""
    strategies: list[str]
    default_strategy: str
    default_k: int
    selection: list[dict[str, Any]]
    """Strategy of `auto` by class of users, and precision of lists of `default_k` for validation users, in %."""
    data: dict[str, Any]
    metrics: dict[str, Any]


class ReloadAnswer(_Answer):
    """Result of a reload."""

    model: str
    """Version in use now."""
    before: str
    """Version in use before."""
    changed: bool


class ReadyAnswer(_Answer):
    """Readiness to receive requests."""

    status: Literal["ready"] = "ready"
    model: str
    store_reads: Literal["ok", "unavailable"]
    """unavailable: until the store is back, lists are served without stored signals."""
    store_writes: Literal["ok", "unavailable"]
    """unavailable: writes fail, and lists cannot be recorded."""


class AgeRange(_Answer):
    """Age range of warm users."""

    youngest: int
    oldest: int


class ProfileValue(_Answer):
    """A value of a profile column."""

    value: str
    users: int
    """Number of warm users with this value."""


class ProfileColumn(_Answer):
    """A profile column known to the model."""

    column: str
    values: list[ProfileValue]
    """Values of warm users, in alphabetical order."""
    values_left_out: int
    """Number of rarer values not listed."""


class ProfileAnswer(_ByModel):
    """Profile fields that a newcomer can fill in."""

    age: AgeRange | None
    """null if the model has no ages."""
    columns: list[ProfileColumn]


def json_response(values: Any) -> Response:
    """Return JSON values as a response, without validating them again."""
    return Response(pydantic_core.to_json(values), media_type="application/json")
