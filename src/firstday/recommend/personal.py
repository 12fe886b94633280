"""`personal`: predicted vector, nearest items (PAPER: full-personalised)."""

from __future__ import annotations

import numpy as np

from firstday.recommend.query import Answer, Query, rank_vectors, route_where


def recommend_personal(query: Query) -> Answer:
    """Rank items by the predicted vector; needs a signal or a profile value."""
    return rank_nearest(query, query.predicted, "personal")


def rank_nearest(query: Query, vectors: np.ndarray, route: str) -> Answer:
    """Rank items by users' predicted vectors, float32, shape (n_users, d), under a route's name."""
    items, values = rank_vectors(query, vectors)
    return Answer(items, values, route_where(query.known, route))
