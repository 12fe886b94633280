"""Summary: what is in a dataset, in counts that add up over parts of the users."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from operator import add, or_
from typing import Any

import numpy as np
import polars as pl

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.splits.histories import Log, find_log
from firstday.data.user_rows import DAY_US


def _choose_end(choose: Callable[..., int | None], *moments: int | None) -> int | None:
    """Return the earliest or the latest moment; None without any."""
    return choose((moment for moment in moments if moment is not None), default=None)


MERGE: Mapping[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(("items", "entities", "groups", "dimensions", "without_vector"), or_),
    "first": partial(_choose_end, min),
    "last": partial(_choose_end, max),
}
"""How counts that do not add up are merged: most are the same in every part, and 0 or empty in none."""


@dataclass(frozen=True)
class Summary:
    """Counts of a dataset, or of a part of it.

    Parameters
    ----------
    users, interactions, friends
        How many there are; friendships as listed.
    pairs
        Interactions of each (signal, entity) pair, such as ``stream x item``.
    items, entities, groups, dimensions
        Items, members of each entity, values of each profile column, and numbers of a precomputed vector (0 without):
        the same in every part.
    without_vector
        Items without a precomputed vector, where there are vectors: they are left out of lists.
    ages, dated
        Users whose age, and whose registration, is known.
    timed, one_day
        Users with times, and those whose interactions all lie within 24 hours: where these are most, most users have
        only a day one, and the protocol `sampled` fits better.
    impressions, lists, shown_users
        Impressions, the lists that they were shown in, and the users whom anything was shown to.
    experiments
        Users with a variant, by experiment.
    first, last
        Microseconds since 1970 UTC of the earliest and the latest interaction; None without times.
    """

    users: int = 0
    interactions: int = 0
    friends: int = 0
    pairs: Counter[str] = field(default_factory=Counter)
    items: int = 0
    entities: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)
    dimensions: int = 0
    without_vector: int = 0
    ages: int = 0
    dated: int = 0
    timed: int = 0
    one_day: int = 0
    impressions: int = 0
    lists: int = 0
    shown_users: int = 0
    experiments: Counter[str] = field(default_factory=Counter)
    first: int | None = None
    last: int | None = None

    def __add__(self, other: Summary) -> Summary:
        merged = {name: MERGE.get(name, add)(one, getattr(other, name)) for name, one in vars(self).items()}
        return Summary(**merged)

    def find_log(self, config: Config) -> Log | None:
        """Return the log that the protocol `registration` divides; None under `sampled`."""
        return find_log(config, is_dated=bool(self.dated), first=self.first, last=self.last)


def summarise(part: Dataset) -> Summary:
    """Count what is in a dataset, or in a part of one."""
    counts: dict[str, Any] = part.summary()
    first, last = part.events.spans(len(part.users))
    shown = (0, 0, 0)
    if part.impressions is not None:
        in_list = pl.struct("user_ix", "list_id").filter(pl.col("list_id").is_not_null())
        counted = part.impressions.lazy().select(pl.len(), lists=in_list.n_unique(), users=pl.col("user_ix").n_unique())
        shown = counted.collect().row(0)
    nobody, precomputed = np.zeros(0), part.precomputed
    return Summary(
        **{name: counts[name] for name in ("users", "interactions", "friends", "items", "entities", "groups")},
        pairs=Counter(counts["pairs"]),
        dimensions=0 if precomputed is None else precomputed.item_vectors.shape[1],
        without_vector=0 if precomputed is None else len(precomputed.items_without),
        ages=int(((nobody if part.ages is None else part.ages) >= 0).sum()),
        dated=int(((nobody if part.registered_at is None else part.registered_at) >= 0).sum()),
        timed=int((first >= 0).sum()),
        one_day=int(((first >= 0) & (last - first < DAY_US)).sum()),
        impressions=shown[0],
        lists=shown[1],
        shown_users=shown[2],
        experiments=Counter([] if part.assignments is None else part.assignments["experiment"]),
        first=part.events.first,
        last=part.events.last,
    )
