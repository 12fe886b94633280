"""What responses of `routes/newcomers.py` hold: profiles, the map of the segments, and a newcomer's place on it."""

from __future__ import annotations

from pydantic import BaseModel, Field

from firstday.serve.answers import ItemId, NearSignal, SegmentItem, Source


class AgeRange(BaseModel):
    """The ages of warm users."""

    youngest: int
    oldest: int


class ProfileValue(BaseModel):
    """A value of a profile column."""

    value: str
    users: int = Field(description="Warm users who have it.")


class ProfileColumn(BaseModel):
    """A profile column that the model knows."""

    column: str
    values: list[ProfileValue] = Field(description="Those that warm users have, in the order of the alphabet.")
    values_left_out: int = Field(description="How many rarer values are not listed.")


class ProfileAnswer(BaseModel):
    """What a newcomer may say of themselves."""

    model: str
    age: AgeRange | None = Field(description="null: the model knows no ages.")
    columns: list[ProfileColumn]


class Place(BaseModel):
    """A place on the map, which goes from -1.5 to 1.5 and from -1 to 1."""

    x: float
    y: float


class ApartItem(BaseModel):
    """An item that sets a segment apart."""

    item_id: ItemId
    title: str
    lift: float = Field(
        description="Share of the segment's people who use it, smoothed as soft_segments does, by everyone's share."
    )


class SegmentDot(Place):
    """A segment on the map."""

    segment: int
    users: int
    radius: float = Field(description="Of its dot, in the map's units: the area follows the users.")
    apart: list[ApartItem] = Field(description="What tells its people best from everyone, best first: its name.")


class MapAnswer(BaseModel):
    """All segments in two dimensions."""

    model: str
    everyone: Place = Field(description="Where somebody is of whom nothing is known.")
    kept: float = Field(description="Part of the centroids' variance that two dimensions keep, before spreading.")
    segments: list[SegmentDot] = Field(description="Largest first.")


class ListedItem(SegmentItem):
    """What a near segment recommends."""

    most_like: NearSignal | None = Field(description="The liked item that is nearest to it.")


class SpeakingSegment(BaseModel):
    """A segment near to a user's predicted taste, with its list."""

    segment: int
    users: int
    weight: float = Field(description="Its part in the list of soft_segments, from 0 to 1.")
    apart: list[ApartItem] = Field(description="What tells its people best from everyone, best first.")
    items: list[ListedItem] = Field(description="What its people use most, without what the user has used or banned.")


class NearAnswer(BaseModel):
    """The segments near to a user."""

    model: str
    user_id: str
    signals_from: Source
    place: Place = Field(description="The mean of the places of the near segments by their weights.")
    segments: list[SpeakingSegment] = Field(description="Heaviest first; none where nothing is known of the user.")
