"""`segment` and `input_clusters`: the nearest group of warm users, and what it uses most."""

from __future__ import annotations

import numpy as np

from firstday.ranking import unit_rows
from firstday.recommend.query import Answer, Query, rank_lists, route_where


def recommend_segment(query: Query) -> Answer:
    """Take the most used items of the nearest segment; needs a signal or a profile value."""
    return take_segments(query, query.nearest_segments, "segment")


def take_nearest_segment(query: Query, vectors: np.ndarray, route: str) -> Answer:
    """Take the top items of the segment nearest to predicted vectors, float32, shape (n_users, d), under a route."""
    return take_segments(query, query.model.segments.assign(vectors), route)


def take_segments(query: Query, chosen: np.ndarray, route: str) -> Answer:
    """Take the top items of each user's segment, integers, shape (n_users,), under a route's name."""
    segments = query.model.segments
    items, values = rank_lists(query, segments.top_items, segments.top_shares, chosen)
    return Answer(items, values, route_where(query.known, route))


def recommend_input_clusters(query: Query) -> Answer:
    """Take the most used items of the nearest cluster of features; needs a signal or a profile value."""
    clusters = query.model.input_clusters
    choice = clusters.assign(unit_rows(query.features))
    items, values = rank_lists(query, clusters.top_items, clusters.top_shares, choice)
    return Answer(items, values, route_where(query.known, "input_clusters"))
