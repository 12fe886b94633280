"""Explanations of lists: the route, the nearest segments, and a reason for each item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firstday.display import readable
from firstday.model.trained_model import KNOWLEDGE
from firstday.ranking import unit_rows
from firstday.recommend.query import Query
from firstday.recommend.recommendation import Recommendation, RecommendedItem
from firstday.recommend.segment_description import SegmentRow, describe_segment
from firstday.recommend.spec import Reason, StrategySpec
from firstday.recommend.support import spec_of_route
from firstday.segment.segments import weigh_segments

NEW = "New; predicted from its words and entities."
N_NEAR = 3
"""Maximum number of segments near the prediction."""


@dataclass(frozen=True)
class NearSegment(SegmentRow):
    """A segment near the predicted vector, with its `weight` in the list, from 0 to 1, and its `distance`."""

    weight: float
    distance: float


@dataclass(frozen=True)
class LikedItem:
    """The user's liked item that is most similar to a listed one, by the cosine of their vectors."""

    item_id: int | str
    title: str
    similarity: float


@dataclass(frozen=True)
class ItemReason:
    """Why an item is in a list, and shares of people who use it, from 0 to 1; of the segment, if it is predicted."""

    item_id: int | str
    why: str
    share_of_segment: float | None
    share_of_everyone: float
    most_like: LikedItem | None


@readable
@dataclass(frozen=True)
class Explanation:
    """Explanation of a list.

    Parameters
    ----------
    route
        The strategy that answered, and what its list is based on.
    segments
        Segments nearest to the prediction, nearest first; empty if nothing is known about the user.
    items
        The reason for each item of the list.
    known
        Class of the user by what is known: ``nothing``, ``profile``, ``friends``, ``1-3`` or ``4+`` (interactions).
    """

    route: str
    segments: tuple[NearSegment, ...]
    items: tuple[ItemReason, ...]
    known: str


def explain_list(query: Query, recommendation: Recommendation) -> Explanation:
    """Explain a list, given the query about its user; see `Recommender.explain`."""
    spec = spec_of_route(recommendation.route)
    basis = f"Ranked by {recommendation.route}." if spec is None else spec.explain or spec.describe
    is_fallback = recommendation.route != recommendation.strategy
    return Explanation(
        f"{recommendation.route} answers for {recommendation.strategy}. {basis}" if is_fallback else basis,
        _near_segments(recommendation, query) if query.has_features[0] else (),
        _explain_items(recommendation, query, spec),
        KNOWLEDGE[query.knowledge[0]],
    )


def _near_segments(recommendation: Recommendation, query: Query) -> tuple[NearSegment, ...]:
    """Describe the segments nearest to the prediction."""
    segments = query.model.segments
    distances = np.linalg.norm(segments.centroids - query.predicted[0], axis=1)
    weights: dict[int | None, float] = {recommendation.segment: 1.0} if recommendation.route == "segment" else {}
    if recommendation.route == "soft_segments":
        (near,), (shares,) = weigh_segments(query.predicted[:1], segments, query.model.mixing)
        weights = dict(zip(near.tolist(), shares.tolist(), strict=True))
    return tuple(
        NearSegment(
            **vars(describe_segment(query.model, segment, current=query.current_items)),
            weight=weights.get(segment, 0.0),
            distance=float(distances[segment]),
        )
        for segment in np.argsort(distances, kind="stable")[:N_NEAR].tolist()
    )


def _explain_items(recommendation: Recommendation, query: Query, spec: StrategySpec | None) -> tuple[ItemReason, ...]:
    """Return the reason for each item, given the strategy of the route."""
    model = query.model
    segment = recommendation.segment
    indexes = [model.catalogue.items.index_of(item.item_id) for item in recommendation]
    shares: list[float | None] = [None] * len(indexes)
    if segment is not None:
        n_users = model.segments.items.counts.take(np.array([segment])).at(np.array([indexes]))[0]
        shares = (n_users / max(1, model.segments.items.sizes[segment])).tolist()
    likes = _find_likes(query, indexes)
    popularity = model.popularity[indexes].tolist()
    reasons = []
    for rank, (item, *facts) in enumerate(zip(recommendation, shares, popularity, likes, strict=True)):
        if query.new_items and query.new_items.ids.index_of(item.item_id) >= 0:
            share = 0.0 if segment is not None else None
            reason = Reason(item.score, segment, share, 0.0, None)
            why = spec.reason(reason) if spec and spec.places_new(model) and spec.reason else None
            reasons.append(ItemReason(item.item_id, why or NEW, share, 0.0, None))
        else:
            why = _explain_item(recommendation, spec, rank, item, *facts)
            reasons.append(ItemReason(item.item_id, why, *facts))
    return tuple(reasons)


def _explain_item(
    recommendation: Recommendation,
    spec: StrategySpec | None,
    rank: int,
    item: RecommendedItem,
    share: float | None,
    popularity: float,
    like: LikedItem | None,
) -> str:
    """Return why an item of the model is at a rank, from 0."""
    if rank >= recommendation.n_ranked:
        return f"Fills the list up: {popularity:.1%} of all users use it."
    name = None if like is None else str(like.title or like.item_id)
    reason = Reason(item.score, recommendation.segment, share, popularity, name)
    why = spec.reason(reason) if spec and spec.reason else None
    return why or f"Ranked by {recommendation.route}: {popularity:.1%} of all users use it."


def _find_likes(query: Query, items: Sequence[int]) -> list[LikedItem | None]:
    """Return for each item the liked item with the most similar vector; None if no liked item has a vector."""
    vectors = query.model.fold_in.item_vectors
    catalogue = (query.current_items or query.model).catalogue
    liked = query.liked.row(0)
    liked = liked[vectors[liked].any(axis=1) & query.item_rules.allowed[liked]]
    if not len(liked):
        return [None] * len(items)
    similarity = unit_rows(vectors[items]) @ unit_rows(vectors[liked]).T
    nearest = liked[similarity.argmax(axis=1)].tolist()
    cosines = similarity.max(axis=1).tolist()
    return [
        LikedItem(catalogue.items[like], catalogue.title_of(like), cosine)
        for like, cosine in zip(nearest, cosines, strict=True)
    ]
