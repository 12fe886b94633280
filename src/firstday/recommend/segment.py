"""`segment`: predicted vector, nearest centroid, its top items (the paper's semi-personalised system)."""

from __future__ import annotations

from firstday.recommend.query import Answer, Query, rank_lists, route_where


def recommend_segment(query: Query) -> Answer:
    """Take the most used items of the nearest segment; needs a signal or a profile value."""
    segments = query.model.segments
    items, values = rank_lists(query, segments.top_items, segments.top_shares, query.nearest_segments)
    return Answer(items, values, route_where(query.known, "segment"))
