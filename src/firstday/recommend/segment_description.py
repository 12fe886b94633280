"""Descriptions of segments: size, spread, most used and most distinctive items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.model.trained_model import TrainedModel
from firstday.recommend.new_items.current_items import CurrentItems


@dataclass(frozen=True)
class SegmentItem:
    """An item of a segment, with the shares of the segment's users and of all warm users who use it, from 0 to 1.

    `lift` is the segment's share, smoothed towards everyone's as in `soft_segments`, divided by `everyone`.
    """

    item_id: int | str
    title: str
    share: float
    everyone: float
    lift: float

    @property
    def name(self) -> str:
        """The title, or the id if there is none."""
        return self.title or str(self.item_id)


@dataclass(frozen=True)
class SegmentRow:
    """One segment, with its most used and its most distinctive items, best first.

    `spread` is the mean squared distance of its users to the centroid; vectors are unit vectors. Distinctive items rank
    by smoothed share times log lift; the share keeps items of a single user from ranking high.
    """

    number: int
    n_users: int
    spread: float
    top: tuple[SegmentItem, ...]
    distinctive: tuple[SegmentItem, ...]


def describe_segments(
    model: TrainedModel,
    n_items: int = 5,
    n_segments: int | None = None,
    current: CurrentItems | None = None,
) -> tuple[SegmentRow, ...]:
    """Describe the `n_segments` largest segments (all if None), largest first, with `n_items` items each."""
    largest = np.argsort(-model.segments.items.sizes, kind="stable")[:n_segments].tolist()
    return tuple(describe_segment(model, segment, n_items, current) for segment in largest)


def describe_segment(
    model: TrainedModel, segment: int, n_items: int = 5, current: CurrentItems | None = None
) -> SegmentRow:
    """Describe one segment with `n_items` items, of those that may be listed now."""
    segments = model.segments
    catalogue = (current or model).catalogue
    items = segments.top_items[segment]
    ranks = np.flatnonzero((items >= 0) & (current or model).listed[items])
    items = items[ranks]
    shares = segments.top_shares[segment, ranks]
    everyone = model.popularity[items]
    smoothed = model.smoothed_shares[segment, ranks].astype(np.float64)
    lifts = smoothed / np.maximum(everyone.astype(np.float64), 1e-12)
    distinctive = np.argsort(-smoothed * np.log(np.maximum(lifts, 1e-12)), kind="stable")

    def take(ranks: np.ndarray) -> tuple[SegmentItem, ...]:
        figures = (table[ranks].tolist() for table in (items, shares, everyone, lifts))
        return tuple(
            SegmentItem(catalogue.items[ix], catalogue.title_of(ix), *of) for ix, *of in zip(*figures, strict=True)
        )

    n_users = int(segments.items.sizes[segment])
    spread = float(segments.spread[segment])
    return SegmentRow(segment, n_users, spread, take(np.arange(len(items))[:n_items]), take(distinctive[:n_items]))
