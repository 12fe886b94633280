"""`input_clusters`: k-means on day-one features, the nearest cluster's top items (PAPER: Input Features Clustering)."""

from __future__ import annotations

from firstday.ranking import unit_rows
from firstday.recommend.query import Answer, Query, rank_lists, route_where


def recommend_input_clusters(query: Query) -> Answer:
    """Take the most used items of the nearest cluster of features; needs a signal or a profile value."""
    clusters = query.model.input_clusters
    choice = clusters.assign(unit_rows(query.features))
    items, values = rank_lists(query, clusters.top_items, clusters.top_shares, choice)
    return Answer(items, values, route_where(query.known, "input_clusters"))
