"""Recommend to the cold users in a folder of tables, and write the lists to a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from operator import add
from typing import Any

import numpy as np
import polars as pl

from firstday.data.dataset import Dataset
from firstday.errors import count_of
from firstday.model.item_content import content_of
from firstday.recommend.answers import answer_query
from firstday.recommend.dataset_query import query_users
from firstday.recommend.list_notes import describe_signals, find_without_history
from firstday.recommend.new_items.current_items import find_known, read_items
from firstday.recommend.recommendation import frame_lists
from firstday.recommend.recommender import Recommender, check_length
from firstday.recommend.rules.list_rules import NO_RULES, Rules, check_user_values, find_missing

USERS_AT_ONCE = 20_000


@dataclass(frozen=True)
class BatchSummary:
    """Summary of a batch; summaries of disjoint users can be added.

    It counts listed items (`n_rows`), users by route, values unknown to the model by entity, signal or profile column,
    and what is `noted` by `describe_signals`. Users are `missing` a value that the rules read; of `n_without_history`,
    the model learned, but the tables have no interaction.
    """

    n_users: int = 0
    n_rows: int = 0
    routes: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    noted: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    n_without_history: int = 0
    notes: tuple[str, ...] = ()

    def __add__(self, other: BatchSummary) -> BatchSummary:
        return BatchSummary(*map(add, vars(self).values(), vars(other).values()))

    def with_notes(self, notes: Sequence[str]) -> BatchSummary:
        """Return the summary with notes on what had no effect, followed by `notes` from reading the tables."""
        counted = {
            "Unknown to the model and ignored": self.unknown,
            "Read by the rules, and missing of users": self.missing,
        }
        sentences = []
        for what, counts in counted.items():
            if counts:
                signals = (f"{name} ({n:,})" for name, n in sorted(counts.items()))
                sentences.append(f"{what}: {', '.join(signals)}.")
        sentences += [f"{note} ({n:,})." for note, n in sorted(self.noted.items())]
        if self.n_without_history:
            users = count_of(self.n_without_history, self.n_users, "users")
            sentences.append(f"The model learned from {users} without any interaction here; add their history.")
        return replace(self, notes=(*sentences, *self.notes, *notes))


def add_items(recommender: Recommender, items: pl.DataFrame | None) -> tuple[Recommender, tuple[str, ...]]:
    """Return the recommender with the items of a batch, and a note if its model ignores new ones."""
    if items is None:
        return recommender, ()
    model = recommender.model
    notes: tuple[str, ...] = ()
    if content_of(model) is None:
        _, is_new = find_known(model, items["item_id"])
        items = items.remove(is_new)
        notes = (f"items: {is_new.sum():,} are ignored, since the model has learned nothing about new items.",)
    return replace(recommender, current_items=read_items(model, items, datetime.now(UTC))), notes


def list_users(
    recommender: Recommender,
    dataset: Dataset,
    k: int | None,
    strategy: str | None,
    *,
    keep_used: bool,
    rules: Rules = NO_RULES,
) -> tuple[pl.DataFrame, BatchSummary]:
    """Return the lists of all users of a dataset, see `frame_lists`, and a summary with notes on new items alone."""
    recommender, notes = add_items(recommender, dataset.new_items)
    model = recommender.model
    users = np.arange(len(dataset.users))
    query, unknown = query_users(
        model,
        dataset,
        users,
        dataset.actions(),
        check_length(model, k),
        keep_used=keep_used,
        current_items=recommender.current_items,
    )
    check_user_values(model, [rules], dataset.groups)
    missing = Counter[str]()
    if rules.user_values:
        missing.update(
            name for user in users for name in find_missing([rules], read_profile(dataset, users, int(user)))
        )
    summary = BatchSummary(
        len(users),
        unknown=Counter(unknown),
        noted=+Counter({note: len(rows) for note, rows in describe_signals(query)}),
        missing=missing,
        n_without_history=int(find_without_history(query).sum()),
        notes=notes,
    )
    name = strategy or model.config.recommend.strategy
    frames = []
    for part in np.array_split(users, len(users) // USERS_AT_ONCE + 1):
        asked = query.take(part)
        answer = answer_query(asked, name, [rules], partial(read_profile, dataset, part))
        frames.append(frame_lists(recommender.catalogue, dataset.users.take(part), answer))
        summary += BatchSummary(0, frames[-1].height, Counter(answer.routes.tolist()))
    return pl.concat(frames), summary


def read_profile(dataset: Dataset, users: np.ndarray, row: int) -> dict[str, Any]:
    """Return the profile values, which filters may read, of the user in a row of the query."""
    user = users[row]
    profile: dict[str, Any] = {}
    for name, group in dataset.groups.items():
        if (code := group.codes[user]) >= 0:
            profile[name] = group.values[code]
    if dataset.ages is not None and dataset.ages[user] >= 0:
        profile["age"] = int(dataset.ages[user])
    return profile
