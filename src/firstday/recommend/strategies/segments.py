"""Most used items of the nearest segments or feature clusters: `segment`, `input_clusters` and `soft_segments`."""

from __future__ import annotations

from functools import partial

import numpy as np

from firstday.artifact.trained_model import TrainedModel
from firstday.ranking import unit_rows
from firstday.recommend.query import Answer, Query
from firstday.recommend.spec import ColdModelSpec, Reason, StrategySpec, times_everyone, used_by_alike
from firstday.segment.segments import weigh_segments

OF_SEGMENT = "share of the segment"


def _take_segments(query: Query, segment_of_user: np.ndarray, route: str) -> Answer:
    """Recommend the top items of each user's segment; `segment_of_user` are integers, shape (n_users,)."""
    return query.take_lists(*query.model.segment_lists, segment_of_user, route, query.has_features)


def recommend_input_clusters(query: Query) -> Answer:
    """Recommend the most used items of the nearest feature cluster; needs a signal or a profile value."""
    clusters = query.model.input_clusters
    cluster_of_user = clusters.assign(unit_rows(query.features))
    return query.take_lists(
        clusters.top_items, clusters.top_shares, cluster_of_user, "input_clusters", query.has_features
    )


def _reason_by_segment(reason: Reason) -> str | None:
    share = reason.share_of_segment
    if share is None:
        return None
    return f"{share:.1%} of the people in segment {reason.segment} use it{times_everyone(share, reason)}."


SEGMENT = StrategySpec(
    name="segment",
    recommend=lambda query: _take_segments(query, query.nearest_segments, "segment"),
    describe="Take the most used items of the nearest segment (the paper's semi-personalised system).",
    explain="The most used items of people in the predicted segment.",
    reason=_reason_by_segment,
    reads=(),
    scale=OF_SEGMENT,
)
INPUT_CLUSTERS = StrategySpec(
    name="input_clusters",
    recommend=recommend_input_clusters,
    describe="Take the most used items of the nearest cluster of features.",
    explain="The most used items of people with a similar first day.",
    reason=used_by_alike,
    reads=(),
    scale="share of people with a similar first day",
)


def segment_strategy(cold_model: ColdModelSpec) -> StrategySpec:
    """Return the strategy that uses the segment nearest to the vector of another cold model."""
    name = f"{cold_model.name}_segment"

    return StrategySpec(
        name=name,
        recommend=lambda query: _take_segments(
            query, query.model.segments.assign(query.predicted_by(cold_model.name)), name
        ),
        describe=f"Take the most used items of the segment nearest to {cold_model.title}'s vector.",
        explain=f"The most used items of people in the segment nearest to {cold_model.title}'s prediction.",
        learned_by=cold_model.name,
        reads=("liked",),
        scale=OF_SEGMENT,
    )


TIE_BREAK = 1e-6
"""Weight of popularity, which orders items that no near segment ranks."""


def score_soft_segments(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return weighted shares in the segments near the predicted vectors, float32, shape (n_rows, n_items)."""
    return mix_segments(query.model, query.predicted[rows])


def mix_segments(model: TrainedModel, vectors: np.ndarray) -> np.ndarray:
    """Return weighted shares in the segments near each vector, float32, shape (n_vectors, n_items)."""
    tops = model.segments.top_items
    shares = model.smoothed_shares
    nearest, weights = weigh_segments(vectors, model.segments, model.mixing)
    mixed = np.empty((len(vectors), model.n_items), dtype=np.float32)
    for of_vector, near, weight in zip(mixed, nearest, weights, strict=True):
        items = np.maximum(tops[near], 0).ravel()  # empty ranks have share 0
        of_vector[:] = np.bincount(items, (weight[:, None] * shares[near]).ravel(), minlength=model.n_items)
    mixed += TIE_BREAK * model.popularity
    return mixed


def _reason_by_segments(reason: Reason) -> str:
    share = f"{reason.score:.1%} of the people in the nearest segments use it"
    return f"{share}{times_everyone(reason.score, reason)}."


SOFT_SEGMENTS = StrategySpec(
    name="soft_segments",
    recommend=lambda query: query.rank_scores(partial(score_soft_segments, query), "soft_segments", query.has_features),
    describe="Rank items by the share of users of several near segments who use them, weighted by similarity.",
    explain="The most used items of people in several segments near the predicted taste, weighted by similarity.",
    reason=_reason_by_segments,
    reads=(),
    scale="share of the near segments",
)
