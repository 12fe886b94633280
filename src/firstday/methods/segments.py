"""Most used items of the nearest segments or feature clusters: `segment`, `input_clusters` and `soft_segments`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from firstday.model.trained_model import TrainedModel
from firstday.progress import Progress
from firstday.ranking import unit_rows
from firstday.recommend.component import Shares
from firstday.recommend.query import Answer, Query
from firstday.recommend.spec import (
    ColdModelSpec,
    LearningData,
    ListPrecision,
    OptionSearch,
    Reason,
    StrategySpec,
    times_everyone,
    used_by_alike,
)
from firstday.segment.segments import Mixing, Segments, rank_smoothed, weigh_segments
from firstday.sparse import SparseRows

if TYPE_CHECKING:
    from firstday.segment.kmeans import FitCentroids

OF_SEGMENT = "share of the segment"
MAX_CLUSTERED_USERS = 10_000
"""Maximum number of users whose features are clustered; features are about twenty times as wide as user vectors."""


@dataclass(frozen=True)
class SegmentLists:
    """Shrinkage of the segments' lists towards the shares among all warm users, in pseudo-users; 0 in the paper."""

    smoothing: float = 0.0


def segment_lists(model: TrainedModel) -> tuple[np.ndarray, np.ndarray]:
    """Return the ranked items of each segment, and their shares; see `rank_smoothed`."""
    return rank_smoothed(
        model.segments, np.where(model.listed, model.popularity, 0), model.learned["segment"].smoothing
    )


def _take_segments(query: Query, segment_of_user: np.ndarray, route: str) -> Answer:
    """Recommend the top items of each user's segment; `segment_of_user` are integers, shape (n_users,)."""
    lists, shares = query.model.derive(segment_lists)
    return query.take_lists(lists, shares, segment_of_user, route, query.has_features)


def cluster_inputs(
    data: LearningData,
    precision: ListPrecision,  # noqa: ARG001
    progress: Progress,
    fit_centroids: FitCentroids | None = None,
) -> Segments:
    """Cluster warm users by the unit-length features of their first day-one sample; count each cluster's items."""
    from firstday.segment.kmeans import fit_segments

    config = data.config
    progress("input clusters", 0, 1)
    clusters = fit_segments(
        lambda rows: unit_rows(data.features.take(rows)),
        data.item_uses,
        min(config.recommend.input_clusters, max(1, data.features.n_users // 10)),
        config.segments,
        seed=config.seed,
        max_vectors=MAX_CLUSTERED_USERS,
        fit_centroids=fit_centroids,
    )
    progress("input clusters", 1, 1)
    return clusters.without(data.unlisted)


def recommend_input_clusters(query: Query) -> Answer:
    """Recommend the most used items of the nearest feature cluster; needs a signal or a profile value."""
    clusters: Segments = query.learned("input_clusters")
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
    value=SegmentLists,
    always_trained=True,
    search=OptionSearch(grid={"smoothing": (0.0, 20.0, 100.0, 400.0, 1600.0)}),
    scale=OF_SEGMENT,
)
INPUT_CLUSTERS = StrategySpec(
    name="input_clusters",
    recommend=recommend_input_clusters,
    describe="Take the most used items of the nearest cluster of features.",
    explain="The most used items of people with a similar first day.",
    reason=used_by_alike,
    fit=cluster_inputs,
    value=Segments,
    always_trained=True,
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
        based_on=cold_model.name,
        scale=OF_SEGMENT,
    )


TIE_BREAK = 1e-6
"""Weight of popularity, which orders items that no near segment ranks."""


def near_shares(query: Query, rows: np.ndarray) -> Shares:
    """Return weighted shares in the segments near the predicted vectors."""
    return mix_segments(query.model, query.predicted[rows])


def top_positions(model: TrainedModel) -> tuple[np.ndarray, np.ndarray]:
    """Return the items of all top lists, ascending, and each list as positions among these; 0 for empty ranks."""
    items, positions = np.unique(np.maximum(model.segments.top_items, 0), return_inverse=True)
    return items, positions.reshape(model.segments.top_items.shape)


def tie_breaks(model: TrainedModel) -> np.ndarray:
    """Return the shares of items that no near segment ranks, float32, shape (n_items,)."""
    return TIE_BREAK * model.popularity


def mix_segments(model: TrainedModel, vectors: np.ndarray) -> Shares:
    """Return weighted shares in the segments near each vector."""
    items, positions = model.derive(top_positions)
    nearest, weights = weigh_segments(vectors, model.segments, model.mixing)
    columns = []
    shares = []
    for near, weight in zip(nearest, weights, strict=True):
        mixed = np.bincount(positions[near].ravel(), (weight[:, None] * model.smoothed_shares[near]).ravel())
        is_listed = np.flatnonzero(mixed != 0)  # empty ranks have share 0; a mask is searched faster than numbers
        columns.append(items[is_listed])
        shares.append(mixed[is_listed])
    starts = np.cumsum([0, *map(len, columns)])
    rows = SparseRows(
        starts,
        np.concatenate([np.zeros(0), *columns]).astype(np.int32),
        np.concatenate([np.zeros(0), *shares]).astype(np.float32),
        model.n_items,
    )
    return Shares(rows, model.derive(tie_breaks))


def _reason_by_segments(reason: Reason) -> str:
    share = f"{reason.score:.1%} of the people in the nearest segments use it"
    return f"{share}{times_everyone(reason.score, reason)}."


SOFT_SEGMENTS = StrategySpec(
    name="soft_segments",
    recommend=lambda query: query.rank_scores(
        lambda rows: near_shares(query, rows).dense, "soft_segments", query.has_features
    ),
    describe="Rank items by the share of users of several near segments who use them, weighted by similarity.",
    explain="The most used items of people in several segments near the predicted taste, weighted by similarity.",
    reason=_reason_by_segments,
    value=Mixing,
    always_trained=True,
    search=OptionSearch(
        grid={"temperature": (0.01, 0.02, 0.04, 0.08, 0.16), "smoothing": (0.0, 20.0, 100.0)},
    ),
    component=near_shares,
    position=3,
    scale="share of the near segments",
)
