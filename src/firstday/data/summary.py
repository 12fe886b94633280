"""Summary: counts of a dataset that can be summed over parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from operator import add, or_
from typing import Any

import numpy as np
import polars as pl

from firstday.data.dataset import Dataset


def _find_ends(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    moments = sorted(one + other)
    return (*moments[:1], *moments[-1:])


MERGE: Mapping[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(("items", "entities", "groups"), or_),
    "moments": _find_ends,
}
"""Merge functions of fields that are not sums; those with `or_` are equal in all parts, or 0 or empty."""


@dataclass(frozen=True)
class Summary:
    """Counts of a dataset or a part."""

    users: int = 0
    interactions: int = 0
    friends: int = 0  # friendships, as listed
    pairs: Counter[str] = field(default_factory=Counter)  # interactions per pair, such as ``stream x item``
    items: int = 0  # like the next two, the same in every part
    entities: Mapping[str, int] = field(default_factory=dict)  # members per entity
    groups: Mapping[str, int] = field(default_factory=dict)  # values per profile column
    ages: int = 0  # users with a known age
    dated: int = 0  # users with a known registration time
    timed: int = 0  # interactions with a time
    users_with_several: int = 0  # users with two or more of these
    users_within_24_hours: int = 0  # of these users, those with all of them within 24 hours
    impressions: int = 0
    experiments: Counter[str] = field(default_factory=Counter)  # users with a variant, by experiment
    # Earliest and latest interaction, in microseconds since 1970 UTC; empty without times.
    moments: tuple[int, ...] = ()

    def __add__(self, other: Summary) -> Summary:
        merged = {name: MERGE.get(name, add)(one, getattr(other, name)) for name, one in vars(self).items()}
        return Summary(**merged)


def _count_known(values: np.ndarray | None) -> int:
    """Count values that are not -1."""
    return 0 if values is None else int((values >= 0).sum())


def summarise(part: Dataset) -> Summary:
    """Count the contents of a dataset or a part."""
    counts: Mapping[str, Any] = part.summary()
    moment = pl.col("timestamp")
    timed = part.events.rows.lazy().drop_nulls("timestamp").group_by("user_ix")
    users = timed.agg(n=pl.len(), span=moment.max() - moment.min()).collect()
    has_several = users["n"] > 1
    assigned = None if part.assignments is None else part.assignments.unique(["user_ix", "experiment"])
    return Summary(
        **counts,
        ages=_count_known(part.ages),
        dated=_count_known(part.registered_at),
        timed=int(users["n"].sum()),
        users_with_several=int(has_several.sum()),
        users_within_24_hours=int((has_several & (users["span"] < timedelta(days=1))).sum()),
        impressions=len(part.impressions or ()),
        experiments=Counter([] if assigned is None else assigned["experiment"]),
        moments=tuple(moment for moment in (part.events.first, part.events.last) if moment is not None),
    )
