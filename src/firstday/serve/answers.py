"""What responses hold; for the OpenAPI document, and for endpoints that need no haste."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

ItemId = int | str
Source = Literal["store", "request", "store_unavailable"]
"""Where a user's signals came from."""


class Item(BaseModel):
    """One place of a list."""

    item_id: ItemId
    title: str = Field(description="Empty where the items have none.")
    score: float = Field(description="On the strategy's own scale; 0 for items that only fill the list up.")


class SegmentItem(BaseModel):
    """What people of a segment use."""

    item_id: ItemId
    title: str
    share: float = Field(description="Share of the segment's people who use it.")
    share_of_everyone: float


class SegmentAnswer(BaseModel):
    """A segment: people of similar taste."""

    segment: int
    users: int = Field(description="How many warm users it has.")
    spread: float = Field(description="Mean squared distance of its people to its centre.")
    top_items: list[SegmentItem] = Field(description="What they use most, best first.")


class SegmentsAnswer(BaseModel):
    """Segments, largest first."""

    model: str
    total: int
    segments: list[SegmentAnswer]


class OneSegmentAnswer(SegmentAnswer):
    """One segment."""

    model: str


class NearSegment(SegmentAnswer):
    """A segment near to the predicted taste."""

    weight: float = Field(description="Its part in the list: 1 for the segment whose list it is, else 0.")
    distance: float = Field(description="From the predicted vector to its centre.")


class MovedBy(BaseModel):
    """What leaving out one signal does to the prediction."""

    signal: str = Field(description="What it is, such as favorite item i81, or country FR.")
    moved: float = Field(
        description="How far the predicted vector is from the one without this signal: 1 - cosine, from 0 to 2."
    )
    segment_without: int | None = Field(description="The predicted segment without it; null: nothing would be known.")


class NearSignal(BaseModel):
    """What the user likes that is most like an item."""

    item_id: ItemId
    title: str
    similarity: float = Field(description="Cosine of the two items' vectors.")


class ItemReason(BaseModel):
    """Why an item is in the list."""

    item_id: ItemId
    why: str = Field(description="A sentence.")
    share_of_segment: float | None = Field(description="Share of the predicted segment's people who use it.")
    share_of_everyone: float
    most_like: NearSignal | None = Field(description="The liked item that is nearest to it.")


class Explanation(BaseModel):
    """Why the list is as it is."""

    route: str = Field(description="A sentence on what answered and why.")
    segments: list[NearSegment] = Field(description="The nearest segments, nearest first.")
    moved_by: list[MovedBy] = Field(description="The user's signals, the one that moved the prediction most first.")
    signals_left_out: int = Field(description="Signals that were not tried, since there are too many; the oldest.")
    items: list[ItemReason]


class ListAnswer(BaseModel):
    """A list."""

    model: str = Field(description="Version of the model that answered.")
    user_id: str | None = Field(default=None, description="Whose it is, where the store was asked.")
    strategy: str = Field(description="What was asked for.")
    route: str = Field(description="What answered: the strategy, or a fallback (group, popular).")
    signals_from: Source = Field(
        description="store_unavailable: the store did not answer, so that the list rests on nothing of the user."
    )
    segment: int | None = Field(description="The predicted segment; null where nothing is known of the user.")
    segment_size: int | None = Field(description="How many warm users it has.")
    items: list[Item] = Field(description="Best first.")
    ignored: list[str] = Field(description="A sentence for each signal that the model does not understand.")
    explanation: Explanation | None = Field(default=None, description="Only where explain was asked for.")


class EventsAnswer(BaseModel):
    """What became of a batch of events."""

    accepted: int = Field(description="New events, now durable.")
    duplicates: int = Field(description="Events that their user had already by their id; left as they were.")
    not_understood: int = Field(
        description="Events, new or not, that name a signal, entity or id that the model does not know. They are kept."
    )


class StoredPick(BaseModel):
    """Something picked while registering."""

    entity: str
    entity_id: str


class StoredEvent(BaseModel):
    """An event as it is kept."""

    event_id: str
    signal: str
    entity: str
    entity_id: str
    timestamp: datetime | None = Field(description="When it happened, as the caller said.")
    received_at: datetime


class UserAnswer(BaseModel):
    """Everything known of a user."""

    user_id: str
    age: int | None
    profile: dict[str, str]
    picks: list[StoredPick]
    friends: list[str]
    put_at: datetime | None = Field(description="When profile, picks and friends were put.")
    events: list[StoredEvent] = Field(description="In the order of receipt.")


class PutAnswer(BaseModel):
    """What became of a profile."""

    user_id: str
    model: str
    ignored: list[str] = Field(description="A sentence for each part that the model does not understand. It is kept.")


class FoundItem(BaseModel):
    """An item."""

    item_id: ItemId
    title: str
    share_of_everyone: float = Field(description="Share of warm users who use it.")


class ItemsAnswer(BaseModel):
    """Items found, most used first."""

    model: str
    items: list[FoundItem]


class QuestionAnswer(BaseModel):
    """What to ask the newcomer next."""

    entity: Literal["item"] = "item"
    item_id: ItemId
    title: str
    gain_bits: float = Field(description="How much the answer tells of the segment, on average.")


class OnboardingAnswer(BaseModel):
    """The state of the questionnaire."""

    model: str
    answered: int = Field(description="Answers that were taken into account.")
    ignored: list[str] = Field(
        description="A sentence for each answer that does not count: of an unknown item, or both."
    )
    signals_from: Source = Field(description="store_unavailable: picks in the store could not be read.")
    question: QuestionAnswer | None = Field(description="The next one; null where nothing is left to ask.")
    likely_segments: list[int] = Field(description="The three most likely after the answers.")
    route: str | None = Field(
        default=None,
        description="Only where k was given. answers: what warm users who would have answered alike use. Where the "
        "model keeps none: the strategy, or fallback, that answered from the yeses.",
    )
    items: list[Item] | None = Field(
        default=None, description="Only where k was given: a list by yeses and noes, without these items, best first."
    )


class ModelAnswer(BaseModel):
    """The model that answers now."""

    model: str
    firstday: str = Field(description="Version of firstday that trained it.")
    created_at: str
    loaded_at: datetime
    dimensions: int
    segments: int
    items: int
    signals: list[str] = Field(description="Signals that it knows.")
    entities: list[str] = Field(description="Entities that it knows, item first.")
    profile_columns: list[str] = Field(description="Profile columns that it knows, age among them.")
    features: list[str] = Field(description="Blocks of its input.")
    strategies: list[str]
    default_strategy: str
    default_k: int
    data: dict[str, Any]
    metrics: dict[str, Any]


class ReloadAnswer(BaseModel):
    """What a reload did."""

    model: str = Field(description="The version that answers now.")
    before: str = Field(description="The version that answered before.")
    changed: bool


class HealthAnswer(BaseModel):
    """Whether the process is there."""

    status: Literal["ok"] = "ok"


class ReadyAnswer(BaseModel):
    """Whether requests should be sent here."""

    status: Literal["ready"] = "ready"
    model: str
    store: Literal["ok", "unavailable"] = Field(
        description="unavailable: lists come without stored signals, and writes fail, until it is back."
    )
