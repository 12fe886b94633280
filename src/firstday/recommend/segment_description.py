"""Segments in words: size, spread, what their users use most, and what they use more than others do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.artifact.trained_model import TrainedModel


@dataclass(frozen=True)
class SegmentItem:
    """An item of a segment.

    Parameters
    ----------
    item_id
        The caller's id.
    title
        "" where it has none.
    share, everyone
        Share of the segment's users, and of all warm users, who use it, fractions of 1.
    """

    item_id: int | str
    title: str
    share: float
    everyone: float

    @property
    def name(self) -> str:
        """The title, or the id where there is none."""
        return self.title or str(self.item_id)


@dataclass(frozen=True)
class SegmentRow:
    """One segment.

    Parameters
    ----------
    number
        Its number in the model.
    n_users
        Warm users in it.
    spread
        Mean squared distance of its users to the centroid; vectors have length 1.
    top
        Most used items, best first.
    own
        Of its top items, those that it uses most above the average, best first.
    """

    number: int
    n_users: int
    spread: float
    top: tuple[SegmentItem, ...]
    own: tuple[SegmentItem, ...]


def describe_segments(model: TrainedModel, n_items: int = 5, n_segments: int | None = None) -> tuple[SegmentRow, ...]:
    """Describe a model's segments, largest first.

    Parameters
    ----------
    model
        The model.
    n_items
        How many items of each.
    n_segments
        How many segments; None for all.
    """
    segments = model.segments
    largest = np.argsort(-segments.items.sizes, kind="stable")[:n_segments].tolist()
    return tuple(_describe(model, segment, n_items) for segment in largest)


def _describe(model: TrainedModel, segment: int, n_items: int) -> SegmentRow:
    """Describe one segment."""
    items, shares = model.segments.top_items[segment], model.segments.top_shares[segment]
    items, shares = items[items >= 0], shares[items >= 0]
    above = shares - model.popularity[items]

    def take(places: np.ndarray) -> tuple[SegmentItem, ...]:
        return tuple(
            SegmentItem(
                model.catalogue.items[int(items[at])],
                model.catalogue.title_of(int(items[at])),
                float(shares[at]),
                float(model.popularity[items[at]]),
            )
            for at in places[:n_items].tolist()
        )

    return SegmentRow(
        segment,
        int(model.segments.items.sizes[segment]),
        float(model.segments.spread[segment]),
        take(np.arange(len(items))),
        take(np.argsort(-above, kind="stable")),
    )
