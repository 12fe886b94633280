"""Explanations of lists: the route, the nearest segments, and a reason for each item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from firstday.data.events import ITEM
from firstday.features.encoder import understand_picks
from firstday.features.signals import Signals
from firstday.model.trained_model import KNOWLEDGE, TrainedModel
from firstday.ranking import unit_rows
from firstday.recommend.belief import believe_segments
from firstday.recommend.query import Query
from firstday.recommend.recommendation import Recommendation
from firstday.recommend.registry import find_strategy
from firstday.recommend.segment_description import describe_segment
from firstday.recommend.spec import Reason
from firstday.segment.segments import weigh_segments
from firstday.serve.batching import ListRequest
from firstday.serve.models import ServedModel
from firstday.serve.schemas import Explanation

NEW = "New; predicted from its words and entities."
N_CHANGED = 3
"""Maximum number of risen segments, and of fallen ones."""
N_TITLES = 3
"""Number of item titles that label a segment."""


def explain(list_request: ListRequest, recommendation: Recommendation) -> dict[str, Any]:
    """Explain a list of an answered request; return an `Explanation` as JSON values."""
    model = list_request.model.trained
    signals = understand_picks(model.encoder, list_request.signals)
    query = Query(model, model.read_signals([signals])[0], k=1)
    spec = find_strategy(recommendation.route)
    is_known = bool(query.has_features[0])
    explanation: dict[str, Any] = {
        "route": (
            f"{recommendation.route} answers for {recommendation.strategy}. "
            if recommendation.route != recommendation.strategy
            else ""
        )
        + (spec.explain or spec.describe),
        "segments": _near_segments(recommendation, query) if is_known else [],
        "known": KNOWLEDGE[query.knowledge[0]],
        "items": _reasons(list_request.model, recommendation, query),
    }
    if signals.shown and (learned := describe_learned(model, signals)):
        explanation["learned"] = learned
    return Explanation.model_validate(explanation, from_attributes=True).model_dump(exclude_unset=True)


def _near_segments(recommendation: Recommendation, query: Query) -> list[dict[str, Any]]:
    """Describe the segments nearest to the prediction."""
    segments = query.model.segments
    distances = np.linalg.norm(segments.centroids - query.predicted[0], axis=1)
    weights: dict[int | None, float] = {recommendation.segment: 1.0} if recommendation.route == "segment" else {}
    if recommendation.route == "soft_segments":
        (near,), (shares,) = weigh_segments(query.predicted[:1], segments, query.model.mixing)
        weights = dict(zip(near.tolist(), shares.tolist(), strict=True))
    return [
        {
            **vars(describe_segment(query.model, segment)),
            "weight": weights.get(segment, 0.0),
            "distance": distances[segment],
        }
        for segment in np.argsort(distances, kind="stable")[:3].tolist()
    ]


def _reasons(served: ServedModel, recommendation: Recommendation, query: Query) -> list[dict[str, Any]]:
    """Return the reason for each item."""
    model = query.model
    segment = recommendation.segment
    items = [model.catalogue.items.index_of(item.item_id) for item in recommendation]
    added = served.recommender.added
    is_new = [added is not None and added.ids.index_of(item.item_id) >= 0 for item in recommendation]
    shares: list[float | None] = [None] * len(items)
    if segment is not None:
        used = model.segments.items.counts
        sizes = model.segments.items.sizes
        shares = (used.take(np.array([segment])).at(np.array([items]))[0] / max(1, sizes[segment])).tolist()
    reasons = []
    explain_item = find_strategy(recommendation.route).reason
    likes = nearest_liked(served, query, items)
    for rank, (item, popularity, share, like) in enumerate(
        zip(recommendation, model.popularity[items].tolist(), shares, likes, strict=True)
    ):
        is_ranked = rank < recommendation.n_ranked
        name = str(like["title"] or like["item_id"]) if like else None
        reason = Reason(item.score, segment, share, popularity, name)
        why = explain_item(reason) if is_ranked and explain_item else None
        if is_new[rank]:
            why, share, popularity, like = NEW, share and 0.0, 0.0, None
        prefix = f"Ranked by {recommendation.route}" if is_ranked else "Fills the list up"
        reasons.append(
            {
                "item_id": item.item_id,
                "why": why or f"{prefix}: {popularity:.1%} of all users use it.",
                "share_of_segment": share,
                "share_of_everyone": popularity,
                "most_like": like,
            }
        )
    return reasons


def nearest_liked(served: ServedModel, query: Query, items: Sequence[int]) -> list[dict[str, Any] | None]:
    """Return for each item the liked item with the most similar vector; None if no liked item has a vector."""
    vectors = query.model.fold_in.item_vectors
    liked = query.liked.row(0)
    liked = liked[vectors[liked].any(axis=1)]
    if not len(liked):
        return [None] * len(items)
    similarity = unit_rows(vectors[items]) @ unit_rows(vectors[liked]).T
    return [{**served.name_item(liked[row.argmax()]), "similarity": row.max()} for row in similarity]


def describe_learned(model: TrainedModel, signals: Signals) -> dict[str, Any] | None:
    """Compare the belief over segments with the belief without impressions; return `Learned` as JSON values.

    The baseline ignores impressions and all interactions with the items shown. The result is None if no item was passed
    over. Ties are in the order of segments.
    """
    shown = {str(impression.item_id) for impression in signals.shown}
    others = [action for action in signals.interactions if action.entity != ITEM or str(action.entity_id) not in shown]
    unshown = signals.copy(shown=(), interactions=others)
    query = Query(model, model.read_signals([signals, unshown])[0], k=1)
    n_passed_over = len(query.passed_over.row(0))
    if not n_passed_over:
        return None
    after, before = believe_segments(query, np.arange(2))

    def describe(change: np.ndarray) -> list[dict[str, Any]]:
        return [
            {
                "segment": segment,
                "before": before[segment],
                "after": after[segment],
                "titles": [item.name for item in describe_segment(model, segment, N_TITLES).distinctive],
            }
            for segment in np.argsort(-change, kind="stable")[:N_CHANGED].tolist()
            if change[segment] > 0
        ]

    return {
        "n_passed_over": n_passed_over,
        "n_used": len({model.catalogue.items.index_of(item) for item in shown}.intersection(query.liked.row(0))),
        "risen": describe(after - before),
        "fallen": describe(before - after),
    }
