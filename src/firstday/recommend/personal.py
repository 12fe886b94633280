"""`personal`: predicted vector, nearest items (PAPER: full-personalised)."""

from __future__ import annotations

from firstday.recommend.query import Answer, Query, rank_vectors, route_where


def recommend_personal(query: Query) -> Answer:
    """Rank items by the predicted vector; needs a signal or a profile value."""
    items, values = rank_vectors(query, query.predicted)
    return Answer(items, values, route_where(query.known, "personal"))
