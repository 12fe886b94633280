"""`popular`, `recent` and `group`: most used items overall, of late, and among users with the same profile values."""

from __future__ import annotations

import numpy as np

from firstday.methods.clock import clock_factors, clock_terms
from firstday.model.trained_model import TrainedModel
from firstday.ranking import take_lists
from firstday.recommend.component import Shares, log_share_component
from firstday.recommend.query import Answer, Query
from firstday.recommend.spec import Reason, StrategySpec, used_by_alike
from firstday.sparse import SparseRows


def recommend_popular(query: Query) -> Answer:
    """Rank items by the share of warm users who use them; answers every user."""
    return take_order(query, query.model.popular_items, query.model.popularity, "popular")


def recommend_recent(query: Query) -> Answer:
    """Rank items by their share in all use, with recent use weighted by the clock; answers every user."""
    order, shares = query.model.derive(rank_recent)
    return take_order(query, order, shares, "recent")


def rank_recent(model: TrainedModel) -> tuple[np.ndarray, np.ndarray]:
    """Return all items by descending share in all use, with recent use weighted by the clock, and each item's share.

    Ties are ordered by index. int32 and float32, shape (n_items,).
    """
    return rank_use(model.popularity * model.derive(clock_factors))


def rank_use(use: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return all items by descending use, and each item's share in all use; see `rank_recent`."""
    shares = np.asarray(use / max(np.float32(1e-9), use.sum()), dtype=np.float32)
    return np.argsort(-shares, kind="stable").astype(np.int32), shares


def take_order(query: Query, order: np.ndarray, shares: np.ndarray, route: str) -> Answer:
    """Give all users the items in one order of all items."""
    n_read = query.k + int(query.excluded.lengths().max(initial=0))
    first = query.item_rules.take_allowed(order, n_read)[None]
    choice = np.zeros(query.n_users, dtype=np.int64)
    items, scores = take_lists(first, shares[first], choice, query.excluded, query.k)
    return Answer.from_lists(choice == 0, route, items, scores)


def share_of_everyone(query: Query, rows: np.ndarray) -> Shares:
    """Return popularity as a component of `blend`."""
    return Shares(SparseRows.empty(len(rows), query.model.n_items), query.model.popularity)


def recommend_group(query: Query) -> Answer:
    """Rank items by the share of users who use them in each of the user's groups, averaged over the groups.

    The share in a group is smoothed: (users of the item + s x overall share) / (users + s), where s is
    `recommend.group_smoothing`. Users of similar age count fractionally (`features.age_users`). Only users with a
    profile value that warm users have are answered.
    """
    return query.rank_scores(lambda rows: score_group(query, rows), "group", query.has_profile)


def score_group(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return smoothed shares, or popularity for users without a profile value, float32, shape (n_rows, n_items)."""
    model = query.model
    smoothing = model.config.recommend.group_smoothing
    total = np.zeros((len(rows), model.n_items), dtype=np.float32)
    n_columns = np.zeros((len(rows), 1), dtype=np.float32)
    for name, codes in query.profile.items():
        counted = model.shared_groups[name]
        row_codes = codes[rows]
        inside = np.flatnonzero(row_codes >= 0)
        sizes = counted.sizes[row_codes[inside]].astype(np.float32)[:, None] + smoothing
        members = counted.counts.take(row_codes[inside])
        total[inside] += smoothing * model.popularity / sizes
        row = members.row_of_entry()
        total[inside[row], members.columns] += members.weights / sizes[row, 0]
        n_columns[inside] += 1
    total[n_columns[:, 0] == 0] = model.popularity
    return total / np.maximum(n_columns, 1)


def _reason_by_everyone(reason: Reason) -> str:
    return f"{reason.share_of_everyone:.1%} of all users use it."


POPULAR = StrategySpec(
    name="popular",
    recommend=recommend_popular,
    describe="Rank items by the share of warm users who use them.",
    explain="The most used items overall.",
    reason=_reason_by_everyone,
    component=share_of_everyone,
    position=4,
    scale="share of everyone",
    stands_in=lambda _model: True,
)
RECENT = StrategySpec(
    name="recent",
    recommend=recommend_recent,
    describe="Rank items by their share in all use, with recent use weighted by the log's clock.",
    explain="The most used items of late.",
    reason=_reason_by_everyone,
    scale="share of recent use",
    stands_in=lambda model: clock_terms(model) is not None,
)
GROUP = StrategySpec(
    name="group",
    recommend=recommend_group,
    describe="Rank items by the share of users of the same profile who use them, averaged over profile columns.",
    explain="The most used items of people with the same profile.",
    reason=used_by_alike,
    component=log_share_component(score_group),
    scale="share of people of the same profile",
)
