"""`popular`: warm users' most used items, the same for everyone."""

from __future__ import annotations

import numpy as np

from firstday.recommend.query import Answer, Query, rank_lists, route_where


def recommend_popular(query: Query) -> Answer:
    """Rank items by the share of warm users who use them; answers for every user."""
    order = query.model.popular_items[None]
    scores = query.model.popularity[order]
    items, values = rank_lists(query, order, scores, np.zeros(query.n_users, dtype=np.int64))
    return Answer(items, values, route_where(np.ones(query.n_users, dtype=bool), "popular"))
