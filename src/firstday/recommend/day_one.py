"""`day_one`: mean of the vectors of the day's items, nearest items (PAPER: Registration Day Streams)."""

from __future__ import annotations

import numpy as np

from firstday.recommend.query import Answer, Query, rank_vectors, route_where


def recommend_day_one(query: Query) -> Answer:
    """Rank items by the mean vector of the items that the user likes so far; needs one that warm users have too."""
    items, values = rank_vectors(query, query.liked_means)
    return Answer(items, values, route_where(np.asarray(query.liked_means.any(axis=1)), "day_one"))
