"""`popular` and `group`: what everyone, or everyone of a profile, uses most."""

from __future__ import annotations

import numpy as np

from firstday.recommend.query import Answer, Query, rank_lists, rank_scores, route_where


def recommend_popular(query: Query) -> Answer:
    """Rank items by the share of warm users who use them; answers for every user."""
    order = query.model.popular_items[None]
    scores = query.model.popularity[order]
    items, values = rank_lists(query, order, scores, np.zeros(query.n_users, dtype=np.int64))
    return Answer(items, values, route_where(np.ones(query.n_users, dtype=bool), "popular"))


def recommend_group(query: Query) -> Answer:
    """Rank items by their share of users, averaged over the user's profile columns.

    The share in a group is (users of the item + s x share with everyone) / (users + s), with s the
    `recommend.group_smoothing`. Answers for users of whom a profile value is known.
    """
    known = query.profile
    n_known = sum((codes >= 0).astype(np.float32) for codes in known.values())
    answered = np.asarray(n_known > 0) & np.ones(query.n_users, dtype=bool)
    items, values = rank_scores(query, lambda rows: score_group(query, rows))
    return Answer(items, values, route_where(answered, "group"))


def score_group(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return smoothed shares, everyone's where no profile value is known, float32, shape (n_rows, n_items)."""
    model = query.model
    smoothing = model.config.recommend.group_smoothing
    total = np.zeros((len(rows), model.n_items), dtype=np.float32)
    n_columns = np.zeros((len(rows), 1), dtype=np.float32)
    for name, codes in query.profile.items():
        counted = model.profile_groups[name]
        mine = codes[rows]
        inside = np.flatnonzero(mine >= 0)
        sizes = counted.sizes[mine[inside]].astype(np.float32)[:, None] + smoothing
        members = counted.counts.take(mine[inside])
        total[inside] += smoothing * model.popularity / sizes
        row = members.row_of_entry()
        total[inside[row], members.columns] += members.weights / sizes[row, 0]
        n_columns[inside] += 1
    total[n_columns[:, 0] == 0] = model.popularity
    return total / np.maximum(n_columns, 1)
