"""`segment` and `input_clusters`: the nearest group of warm users, and what it uses most."""

from __future__ import annotations

import numpy as np

from firstday.ranking import unit_rows
from firstday.recommend.query import Answer, Query
from firstday.recommend.spec import ColdModelSpec, Reason, StrategySpec, reading, times_everyone, used_by_alike

OF_SEGMENT = "share of the segment"


def recommend_segment(query: Query) -> Answer:
    """Take the most used items of the nearest segment (the paper's semi-personalised system)."""
    return _take_segments(query, query.nearest_segments, "segment")


def _take_segments(query: Query, segment_of_user: np.ndarray, route: str) -> Answer:
    """Take the top items of each user's segment, integers, shape (n_users,), under a route's name."""
    return query.take_lists(*query.model.segment_lists, segment_of_user, route, query.known)


def recommend_input_clusters(query: Query) -> Answer:
    """Take the most used items of the nearest cluster of features; needs a signal or a profile value."""
    clusters = query.model.input_clusters
    cluster_of_user = clusters.assign(unit_rows(query.features))
    return query.take_lists(clusters.top_items, clusters.top_shares, cluster_of_user, "input_clusters", query.known)


def _reason_by_segment(reason: Reason) -> str | None:
    share = reason.share_of_segment
    if share is None:
        return None
    return f"{share:.1%} of the people of segment {reason.segment} use it{times_everyone(share, reason)}."


SEGMENT = StrategySpec(
    name="segment",
    recommend=recommend_segment,
    describe="Take the most used items of the nearest segment (the paper's semi-personalised system).",
    explain="What the people of the predicted segment use most.",
    reason=_reason_by_segment,
    reads=reading(),
    scale=OF_SEGMENT,
)
INPUT_CLUSTERS = StrategySpec(
    name="input_clusters",
    recommend=recommend_input_clusters,
    describe="Take the most used items of the nearest cluster of features.",
    explain="What people with a similar first day use most.",
    reason=used_by_alike,
    reads=reading(),
    scale="share of people with a similar first day",
)


def by_segment_of(cold_model: ColdModelSpec) -> StrategySpec:
    """Make the strategy that takes the segment nearest to the vector that another cold model predicts."""
    name = f"{cold_model.name}_segment"

    def recommend(query: Query) -> Answer:
        return _take_segments(query, query.model.segments.assign(query.predicted_by(cold_model.name)), name)

    return StrategySpec(
        name=name,
        recommend=recommend,
        describe=f"Take the most used items of the segment nearest to {cold_model.title}'s vector.",
        explain=f"What the people of the segment nearest to {cold_model.title}'s prediction use most.",
        method=cold_model.name,
        reads=reading("liked"),
        scale=OF_SEGMENT,
    )
