"""Summary: what is in a dataset, in counts that add up over parts of the users."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.impressions import count_lists
from firstday.data.splits.registrations import DAY_US, Log
from firstday.data.splits.roles import Protocol, choose_protocol


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
    friends: int | None = None
    pairs: Mapping[str, int] = field(default_factory=dict)
    items: int = 0
    entities: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)
    dimensions: int = 0
    without_vector: int = 0
    ages: int = 0
    dated: int | None = None
    timed: int = 0
    one_day: int = 0
    impressions: int = 0
    lists: int = 0
    shown_users: int = 0
    experiments: Mapping[str, int] = field(default_factory=dict)
    first: int | None = None
    last: int | None = None

    def __add__(self, other: Summary) -> Summary:
        pairs = Counter(self.pairs)
        pairs.update(other.pairs)
        experiments = Counter(self.experiments)
        experiments.update(other.experiments)
        firsts = [moment for moment in (self.first, other.first) if moment is not None]
        lasts = [moment for moment in (self.last, other.last) if moment is not None]
        return Summary(
            users=self.users + other.users,
            interactions=self.interactions + other.interactions,
            friends=_add(self.friends, other.friends),
            pairs=dict(sorted(pairs.items())),
            items=max(self.items, other.items),
            entities=self.entities or other.entities,
            groups=self.groups or other.groups,
            dimensions=max(self.dimensions, other.dimensions),
            without_vector=max(self.without_vector, other.without_vector),
            ages=self.ages + other.ages,
            dated=_add(self.dated, other.dated),
            timed=self.timed + other.timed,
            one_day=self.one_day + other.one_day,
            impressions=self.impressions + other.impressions,
            lists=self.lists + other.lists,
            shown_users=self.shown_users + other.shown_users,
            experiments=dict(sorted(experiments.items())),
            first=min(firsts, default=None),
            last=max(lasts, default=None),
        )

    @property
    def log(self) -> Log | None:
        """The ends of everyone's log; None without times."""
        return None if self.first is None or self.last is None else Log(self.first, self.last + 1)


def _add(first: int | None, second: int | None) -> int | None:
    """Add counts of which None stands for no such table."""
    return None if first is None and second is None else (first or 0) + (second or 0)


def suiting_protocol(config: Config, summary: Summary) -> Protocol:
    """Return the protocol that suits tables; see `firstday.data.splits.roles.choose_protocol`."""
    return choose_protocol(config, is_dated=bool(summary.dated), has_times=summary.first is not None)


def summarise(part: Dataset) -> Summary:
    """Count what is in a dataset, or in a part of one."""
    counts = part.summary()
    first, last = part.events.spans(len(part.users))
    n_lists, n_shown = (0, 0) if part.impressions is None else count_lists(part.impressions)
    variants = Counter([] if part.assignments is None else part.assignments["experiment"].to_list())
    pairs, entities, groups = counts["pairs"], counts["entities"], counts["groups"]
    assert isinstance(pairs, dict)
    assert isinstance(entities, dict)
    assert isinstance(groups, dict)
    return Summary(
        users=len(part.users),
        interactions=len(part.events),
        friends=None if part.friends is None else part.friends.n_entries,
        pairs=pairs,
        items=len(part.items),
        entities=entities,
        groups=groups,
        dimensions=0 if part.precomputed is None else part.precomputed.item_vectors.shape[1],
        without_vector=0 if part.precomputed is None else len(part.precomputed.items_without),
        ages=0 if part.ages is None else int(np.count_nonzero(part.ages >= 0)),
        dated=None if part.registered_at is None else int(np.count_nonzero(part.registered_at >= 0)),
        timed=int((first >= 0).sum()),
        one_day=int(((first >= 0) & (last - first < DAY_US)).sum()),
        impressions=0 if part.impressions is None else len(part.impressions),
        lists=n_lists,
        shown_users=n_shown,
        experiments=dict(sorted(variants.items())),
        first=part.events.first,
        last=part.events.last,
    )
