"""Summary: counts of a dataset that can be summed over parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from operator import add, or_
from typing import Any

import numpy as np
import polars as pl

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.impressions import IMPRESSION_TYPES
from firstday.data.splits.histories import Log, find_log


def _choose_end(choose: Callable[..., int | None], *moments: int | None) -> int | None:
    """Apply `min` or `max` to the moments that are not None; None without any."""
    return choose((moment for moment in moments if moment is not None), default=None)


MERGE: Mapping[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(("items", "entities", "groups", "dimensions", "items_without_vector"), or_),
    "first": partial(_choose_end, min),
    "last": partial(_choose_end, max),
}
"""Merge functions of fields that are not sums; those with `or_` are equal in all parts, or 0 or empty."""


@dataclass(frozen=True)
class Summary:
    """Counts of a dataset or a part.

    Parameters
    ----------
    users, interactions, friends
        Numbers of rows; friendships as listed.
    pairs
        Number of interactions per (signal, entity) pair, such as ``stream x item``.
    items, entities, groups, dimensions
        Number of items, members per entity, values per profile column, and dimensions of precomputed vectors (0
        without vectors); the same in every part.
    items_without_vector
        Number of items without a precomputed vector (0 without vectors); they are never recommended.
    ages, dated
        Number of users with a known age, and with a known registration time.
    users_with_times, users_within_24_hours
        Number of users with times, and number of them whose interactions span less than 24 hours. If the latter are
        the majority, the log has little more than day ones, and the protocol `sampled` is more suitable.
    impressions, lists, users_shown_something
        Number of impressions, of lists they were shown in, and of users with an impression.
    experiments
        Number of users with a variant, by experiment.
    first, last
        Time of the earliest and latest interaction, in microseconds since 1970 UTC; None without times.
    """

    users: int = 0
    interactions: int = 0
    friends: int = 0
    pairs: Counter[str] = field(default_factory=Counter)
    items: int = 0
    entities: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)
    dimensions: int = 0
    items_without_vector: int = 0
    ages: int = 0
    dated: int = 0
    users_with_times: int = 0
    users_within_24_hours: int = 0
    impressions: int = 0
    lists: int = 0
    users_shown_something: int = 0
    experiments: Counter[str] = field(default_factory=Counter)
    first: int | None = None
    last: int | None = None

    def __add__(self, other: Summary) -> Summary:
        merged = {name: MERGE.get(name, add)(one, getattr(other, name)) for name, one in vars(self).items()}
        return Summary(**merged)

    def find_log(self, config: Config) -> Log | None:
        """Return the log for the protocol `registration`; None under `sampled`."""
        return find_log(config, is_dated=bool(self.dated), first=self.first, last=self.last)


def _count_known(values: np.ndarray | None) -> int:
    """Count values that are not -1."""
    return 0 if values is None else int((values >= 0).sum())


def summarise(part: Dataset) -> Summary:
    """Count the contents of a dataset or a part."""
    counts: dict[str, Any] = part.summary()
    span = pl.col("timestamp").max() - pl.col("timestamp").min()
    per_user = part.events.rows.lazy().drop_nulls("timestamp").group_by("user_ix").agg(span)
    is_short = pl.col("timestamp") < timedelta(days=1)
    spans = per_user.select(users_with_times=pl.len(), users_within_24_hours=is_short.sum())
    in_list = pl.struct("user_ix", "list_id").filter(pl.col("list_id").is_not_null())
    shown = pl.LazyFrame(schema=IMPRESSION_TYPES) if part.impressions is None else part.impressions.lazy()
    shown = shown.select(
        impressions=pl.len(), lists=in_list.n_unique(), users_shown_something=pl.col("user_ix").n_unique()
    )
    precomputed = part.precomputed
    return Summary(
        **{**counts, "pairs": Counter(counts["pairs"])},
        **shown.collect().row(0, named=True),
        dimensions=0 if precomputed is None else precomputed.item_vectors.shape[1],
        items_without_vector=0 if precomputed is None else len(precomputed.items_without_vector),
        ages=_count_known(part.ages),
        dated=_count_known(part.registered_at),
        **spans.collect().row(0, named=True),
        experiments=Counter([] if part.assignments is None else part.assignments["experiment"]),
        first=part.events.first,
        last=part.events.last,
    )
