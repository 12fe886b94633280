"""What the queries of paths may hold; here, too, what is not known is refused."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from firstday.serve.schemas import (
    EXPLAIN,
    ID_LENGTH,
    KEEP_USED,
    MAX_PICKS,
    STRATEGY,
    IdText,
    K,
    Length,
    StrategyName,
    UserIdText,
)

MAX_SHOWN = 200
"""Segments or items in one answer, at most."""


class _Parameters(BaseModel):
    """Parameters of a path's query: text, which is read as what it stands for."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ListParameters(_Parameters):
    """What list is wanted."""

    k: Annotated[Length | None, K] = None
    strategy: Annotated[StrategyName | None, STRATEGY] = None
    explain: Annotated[bool, EXPLAIN] = False
    keep_used: Annotated[bool, KEEP_USED] = False


class SegmentParameters(_Parameters):
    """How much of a segment to show."""

    items: int = Field(default=50, ge=1, le=MAX_SHOWN, description="How many of its top items.")


class SegmentsParameters(_Parameters):
    """Which segments to show, and how much of each."""

    offset: int = Field(default=0, ge=0, le=1_000_000, description="How many to leave out.")
    limit: int = Field(default=20, ge=1, le=MAX_SHOWN, description="How many to return.")
    items: int = Field(default=5, ge=1, le=MAX_SHOWN, description="How many top items of each.")


class ItemsParameters(_Parameters):
    """Which items to find."""

    query: str = Field(
        default="", max_length=ID_LENGTH, description="A part of the title in any case, or an id.", examples=["toy"]
    )
    limit: int = Field(default=20, ge=1, le=MAX_SHOWN, description="How many to return.")


class OnboardingParameters(_Parameters):
    """The answers so far."""

    user_id: UserIdText | None = Field(default=None, description="Whose stored picks count as liked.")
    liked: list[IdText] = Field(default=[], max_length=MAX_PICKS, description="Ids of items answered with yes.")
    passed: list[IdText] = Field(
        default=[], max_length=MAX_PICKS, description="Ids of items answered with no, or not known."
    )
    k: Length | None = Field(default=None, description="Length of a list by all answers; no list where it is left out.")


class NearParameters(_Parameters):
    """How many near segments to show, and how much of each."""

    limit: int = Field(default=5, ge=1, le=32, description="How many segments, heaviest first.")
    items: int = Field(default=20, ge=0, le=MAX_SHOWN, description="How many items of each one's list.")


class NoParameters(_Parameters):
    """None are taken."""


NoQuery = Annotated[NoParameters, Query()]
"""The type of what a path that takes no parameters is given."""
