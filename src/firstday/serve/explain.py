"""Explanations of lists: the route, the signals that moved the prediction, and a reason for each item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from firstday.artifact.trained_model import TrainedModel
from firstday.data.events import ITEM
from firstday.features.signals import Catalogue, Signals
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

N_SEGMENTS = 3
N_SEGMENT_ITEMS = 5
N_CHANGED = 3
"""Maximum number of risen segments, and of fallen ones."""
N_TITLES = 3
"""Number of item titles that label a segment."""
N_TRIED = 50
"""Maximum number of signals left out one at a time, newest first."""
INTERACTIONS_AT_ONCE, N_TRIED_AT_LEAST = 10_000, 5
"""Very active users get fewer leave-one-out variants, to bound the response time."""


def explain(asked: ListRequest, listed: Recommendation) -> dict[str, Any]:
    """Explain a list of an answered request; return an `Explanation` as JSON values.

    Leave-one-out: the user is encoded and predicted again without each signal, all in one batch. This explains the
    *prediction*, which some strategies do not use (`popular`, `group`, `day_one`, `fold_in`, `input_clusters`). The
    sentence on the route says what the list is based on.
    """
    model, signals = asked.model.trained, asked.signals
    n_signals = (signals.age is not None) + len(signals.groups) + bool(signals.friends) + len(set(signals.interactions))
    n_tried = min(N_TRIED, max(N_TRIED_AT_LEAST, INTERACTIONS_AT_ONCE // max(1, len(signals.interactions))))
    variants = list(islice(_leave_each_out(signals, model.catalogue), n_tried))
    query = Query(model, model.read_signals([signals, *(signals.copy(**change) for _, change in variants)])[0], k=1)
    spec = find_strategy(listed.route)
    is_known = bool(query.known[0])
    explanation = {
        "route": (f"{listed.route} answers for {listed.strategy}. " if listed.route != listed.strategy else "")
        + (spec.explain or spec.describe),
        "segments": _near_segments(listed, query) if is_known else [],
        "moved_by": _moved_by(query, [name for name, _ in variants]) if is_known else [],
        "signals_left_out": n_signals - len(variants),
        "items": _reasons(asked.model, listed, query),
    }
    if signals.shown and (learned := tell_learned(model, signals)):
        explanation["learned"] = learned
    return Explanation.model_validate(explanation, from_attributes=True).model_dump(exclude_unset=True)


def _leave_each_out(signals: Signals, catalogue: Catalogue) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each signal's label and the change removing it: profile, friends, interactions from the newest."""
    if signals.age is not None:
        yield f"age {signals.age}", {"age": None}
    for name, value in signals.groups.items():
        yield f"{name} {value}", {name: None}
    if signals.friends:
        yield f"friends: {len(signals.friends):,}", {"friends": ()}
    for action in dict.fromkeys(reversed(signals.interactions)):
        _, entity, identity = action
        name = catalogue.find_name(entity, identity) if entity != ITEM else ""
        others = [other for other in signals.interactions if other != action]
        yield " ".join(map(str, action)) + (name and f" ({name})"), {"interactions": others}


def _near_segments(listed: Recommendation, query: Query) -> list[dict[str, Any]]:
    """Describe the segments nearest to the prediction."""
    segments = query.model.segments
    distances = np.linalg.norm(segments.centroids - query.predicted[0], axis=1)
    weights: dict[int | None, float] = {listed.segment: 1.0} if listed.route == "segment" else {}
    if listed.route == "soft_segments":
        (near,), (shares,) = weigh_segments(query.predicted[:1], segments, query.model.mixing)
        weights = dict(zip(near.tolist(), shares.tolist(), strict=True))
    return [
        {
            **vars(describe_segment(query.model, segment, N_SEGMENT_ITEMS)),
            "weight": weights.get(segment, 0.0),
            "distance": distances[segment],
        }
        for segment in np.argsort(distances, kind="stable")[:N_SEGMENTS].tolist()
    ]


def _moved_by(query: Query, names: list[str]) -> list[dict[str, Any]]:
    """Return how far the prediction moves without each signal, largest change first."""
    moved = 1 - query.predicted[1:] @ query.predicted[0]
    without = zip(query.known[1:], query.nearest_segments[1:], strict=True)
    segments = [nearest if is_known else None for is_known, nearest in without]
    return [
        {"signal": names[at], "moved": max(0.0, moved[at]), "segment_without": segments[at]}
        for at in np.argsort(-moved, kind="stable").tolist()
    ]


def _reasons(served: ServedModel, listed: Recommendation, query: Query) -> list[dict[str, Any]]:
    """Return the reason for each item."""
    model, segment = query.model, listed.segment
    items = [model.catalogue.items.index_of(item.item_id) for item in listed]
    shares: list[float | None] = [None] * len(items)
    if segment is not None:
        used, sizes = model.segments.items.counts, model.segments.items.sizes
        shares = (used.take(np.array([segment])).at(np.array([items]))[0] / max(1, sizes[segment])).tolist()
    reasons, say = [], find_strategy(listed.route).reason
    likes = nearest_liked(served, query, items)
    for rank, (item, of_all, share, like) in enumerate(
        zip(listed, model.popularity[items].tolist(), shares, likes, strict=True)
    ):
        begin, why = "Fills the list up", None
        if rank < listed.n_ranked:
            name = str(like["title"] or like["item_id"]) if like else None
            begin, why = f"Ranked by {listed.route}", say and say(Reason(item.score, segment, share, of_all, name))
        reasons.append(
            {
                "item_id": item.item_id,
                "why": why or f"{begin}: {of_all:.1%} of everyone use it.",
                "share_of_segment": share,
                "share_of_everyone": of_all,
                "most_like": like,
            }
        )
    return reasons


def nearest_liked(served: ServedModel, query: Query, items: Sequence[int]) -> list[dict[str, Any] | None]:
    """Return for each item the liked item with the most similar vector; None if no liked item has one."""
    vectors, liked = query.model.fold_in.item_vectors, query.liked.row(0)
    liked = liked[vectors[liked].any(axis=1)]
    if not len(liked):
        return [None] * len(items)
    similarity = unit_rows(vectors[items]) @ unit_rows(vectors[liked]).T
    return [{**served.name_item(liked[row.argmax()]), "similarity": row.max()} for row in similarity]


def tell_learned(model: TrainedModel, signals: Signals) -> dict[str, Any] | None:
    """Compare the posterior over segments with the one before the user was shown anything.

    The baseline ignores impressions and all interactions with the items shown. The result has the values of
    `firstday.serve.schemas.Learned`: the segments with the largest rise and fall, by size of the change, ties by
    number. It is None if no item was passed over.
    """
    shown = {str(impression.item_id) for impression in signals.shown}
    others = [action for action in signals.interactions if action[1] != ITEM or str(action[2]) not in shown]
    unshown = signals.copy(shown=(), interactions=others)
    query = Query(model, model.read_signals([signals, unshown])[0], k=1)
    n_passed_over = len(query.passed_over.row(0))
    if not n_passed_over:
        return None
    after, before = believe_segments(query, np.arange(2))

    def tell(change: np.ndarray) -> list[dict[str, Any]]:
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
        "risen": tell(after - before),
        "fallen": tell(before - after),
    }
