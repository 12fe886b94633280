"""Why a list is as it is: where it came from, which signals moved the prediction, and what speaks for each item."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from firstday.artifact.trained_model import KNOWLEDGE, TrainedModel
from firstday.data.events import ITEM
from firstday.features.signals import Catalogue, Signals
from firstday.ranking import unit_rows
from firstday.recommend.query import Query
from firstday.recommend.segment_description import describe_segment
from firstday.recommend.spec import Reason, find_strategy
from firstday.segment.segments import weigh_segments
from firstday.serve.learned import tell_learned
from firstday.serve.lists import Reply
from firstday.serve.models import ServedModel

N_SEGMENTS = 3
N_SEGMENT_ITEMS = 5
N_TRIED = 50
"""Signals left out one by one, at most; the newest."""
INTERACTIONS_AT_ONCE, N_TRIED_AT_LEAST = 10_000, 5
"""Of users who did very much fewer are tried, so that nobody waits for them."""


def segment_values(model: TrainedModel, segment: int, n_items: int) -> dict[str, Any]:
    """Return a segment's size and what its people use most, as the values of `SegmentAnswer`."""
    row = describe_segment(model, segment, n_items)
    return {
        "segment": row.number,
        "users": row.n_users,
        "spread": row.spread,
        "top_items": [
            {"item_id": item.item_id, "title": item.title, "share": item.share, "share_of_everyone": item.everyone}
            for item in row.top
        ],
    }


def explain(reply: Reply) -> dict[str, Any]:
    """Explain a list.

    Leave-one-out: the user is encoded and predicted once more without each signal, all in one batch. It says what moved
    the *prediction*, which strategies that do not rest on it (`popular`, `group`, `day_one`, `fold_in`,
    `input_clusters`) do not heed; the sentence on the route says what the list rests on.

    Parameters
    ----------
    reply
        The list, with the model and the signals that it was made from.

    Returns
    -------
    dict of str to Any
        The values of `firstday.serve.schemas.Explanation`.
    """
    served = reply.model
    signals = reply.signals
    n_signals = (signals.age is not None) + len(signals.groups) + len(set(signals.interactions))
    n_signals += bool(signals.friends)
    n_tried = min(N_TRIED, max(N_TRIED_AT_LEAST, INTERACTIONS_AT_ONCE // max(1, len(signals.interactions))))
    variants = list(islice(_leave_each_out(signals, served.trained.catalogue), n_tried))
    batch, _ = served.trained.read_signals([signals, *(without for _, without in variants)])
    query = Query(served.trained, batch, k=1)
    spec = find_strategy(reply.route)
    route = spec.explain or spec.describe
    known = bool(query.known[0])
    if reply.route != reply.answers.strategy:
        route = f"{_tell_route(reply, query)} {route}"
    learned = tell_learned(served.trained, signals)
    return {
        "route": route,
        "segments": _near_segments(reply, query) if known else [],
        "moved_by": _moved_by(query, [name for name, _ in variants]) if known else [],
        "signals_left_out": n_signals - len(variants),
        "items": _reasons(reply, query),
        **({} if learned is None else {"learned": learned}),
    }


def _tell_route(reply: Reply, query: Query) -> str:
    """Say why another strategy answered than the one that was asked for."""
    number = int(query.knowledge[0])
    of_class = f"users of whom as much is known ({KNOWLEDGE[number]})"
    if number and reply.answers.strategy == "auto":
        return f"Of all strategies, {reply.route} was the best for {of_class}."
    return f"The strategy {reply.answers.strategy} has nothing to go on."


def _leave_each_out(signals: Signals, catalogue: Catalogue) -> Iterator[tuple[str, Signals]]:
    """Give what each signal is called and the user without it: profile and friends, then interactions, newest first."""
    if signals.age is not None:
        yield f"age {signals.age}", signals.copy(age=None)
    for name, value in signals.groups.items():
        yield f"{name} {value}", signals.copy(**{name: None})
    if signals.friends:
        yield f"{len(signals.friends):,} friends", signals.copy(friends=())
    for action in dict.fromkeys(reversed(signals.interactions)):
        others = [other for other in signals.interactions if other != action]
        _, entity, identity = action
        name = catalogue.find_name(entity, identity) if entity != ITEM else ""
        yield " ".join(map(str, action)) + (name and f" ({name})"), signals.copy(interactions=others)


def _near_segments(reply: Reply, query: Query) -> list[dict[str, Any]]:
    """Describe the segments nearest to the prediction."""
    segments = query.model.segments
    distances = np.linalg.norm(segments.centroids - query.predicted[0], axis=1)
    nearest = np.argsort(distances, kind="stable")[:N_SEGMENTS].tolist()
    weights = np.zeros(len(segments))
    if reply.route == "segment":
        weights[reply.segment] = 1.0
    elif reply.route == "soft_segments":
        speaking, shares = weigh_segments(query.predicted[:1], segments, query.model.mixing)
        weights[speaking[0]] = shares[0]
    return [
        {
            **segment_values(reply.model.trained, segment, N_SEGMENT_ITEMS),
            "weight": float(weights[segment]),
            "distance": float(distances[segment]),
        }
        for segment in nearest
    ]


def _moved_by(query: Query, names: list[str]) -> list[dict[str, Any]]:
    """Compare the prediction with those that lack a signal."""
    vectors = query.predicted
    moved = 1 - vectors[1:] @ vectors[0]
    segments = np.where(query.known, query.nearest_segments, -1)[1:].tolist()
    order = np.argsort(-moved, kind="stable").tolist()
    return [
        {
            "signal": names[at],
            "moved": max(0.0, float(moved[at])),
            "segment_without": segments[at] if segments[at] >= 0 else None,
        }
        for at in order
    ]


def _reasons(reply: Reply, query: Query) -> list[dict[str, Any]]:
    """Say why each item is there."""
    served, model = reply.model, query.model
    if not reply.items:
        return []
    everyone = model.popularity[reply.items].tolist()
    of_segment = _shares_in(model, reply.segment, reply.items)
    likes = nearest_liked(served, query, reply.items)
    names = [None if like is None else str(like["title"] or like["item_id"]) for like in likes]
    return [
        {
            "item_id": served.item_ids[item],
            "why": _sentence(
                reply.route, Reason(score, reply.segment, share, of_all, name), fills_up=place >= reply.n_ranked
            ),
            "share_of_segment": share,
            "share_of_everyone": of_all,
            "most_like": like,
        }
        for place, (item, score, share, of_all, like, name) in enumerate(
            zip(reply.items, reply.scores, of_segment, everyone, likes, names, strict=True)
        )
    ]


def _shares_in(model: TrainedModel, segment: int | None, items: list[int]) -> list[float | None]:
    """Return the share of a segment's users who use each item."""
    if segment is None:
        return [None] * len(items)
    counts, sizes = model.segments.items.counts, model.segments.items.sizes
    users = dict(zip(counts.row(segment).tolist(), counts.row_weights(segment).tolist(), strict=True))
    size = max(1, int(sizes[segment]))
    return [users.get(item, 0.0) / size for item in items]


def nearest_liked(served: ServedModel, query: Query, items: list[int]) -> list[dict[str, Any] | None]:
    """Return for each item the liked item whose vector is nearest; None where no liked item has one."""
    vectors = query.model.fold_in.item_vectors
    liked = query.liked.row(0)
    liked = liked[vectors[liked].any(axis=1)]
    if not len(liked):
        return [None] * len(items)
    similarity = unit_rows(vectors[items]) @ unit_rows(vectors[liked]).T
    best = similarity.argmax(axis=1)
    return [
        {
            "item_id": served.item_ids[liked[at]],
            "title": served.titles[liked[at]],
            "similarity": float(similarity[row, at]),
        }
        for row, at in enumerate(best.tolist())
    ]


def _sentence(route: str, reason: Reason, *, fills_up: bool) -> str:
    """Say why an item is in a list, by what the list rests on."""
    everyone = f"{reason.share_of_everyone:.1%} of everyone use it"
    if fills_up:
        return f"Fills the list up: {everyone}."
    say = find_strategy(route).reason
    return (say and say(reason)) or f"Ranked by {route}; {everyone}."
